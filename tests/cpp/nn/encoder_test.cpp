#include "core/nn/encoder.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("encoder: mean is linear in the block's output, variance its exponential plus 1e-4") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options;
  options.n_in = 6;
  options.n_out = options.n_hidden = 7;
  options.n_layers = 2;
  options.dropout_rate = 0.5;
  RandomStream random(1);
  Encoder encoder(options, /*n_out=*/3, random);
  scramble(*encoder);
  encoder->eval();
  const at::Tensor x = random.normal({11, 6}, c10::kCPU);
  const GaussianParameters out = encoder->forward(x, {}, random);

  const State state = live_state(*encoder);
  const at::Tensor h = block_by_hand(state, "encoder", x, at::Tensor());
  CHECK(max_relative_difference(out.mean, linear_by_hand(state, "mean_encoder", h)) < 1e-5);
  CHECK(max_relative_difference(out.variance, at::exp(linear_by_hand(state, "var_encoder", h)) + 1e-4) < 1e-5);
}

TEST_CASE("encoder: the variance has a floor of 1e-4") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options;
  options.n_in = 2;
  RandomStream random(1);
  Encoder encoder(options, /*n_out=*/2, random);
  encoder->eval();
  find(live_state(*encoder), "var_encoder.bias").detach().fill_(-1000);
  CHECK(max_difference(encoder->forward(at::ones({3, 2}), {}, random).variance, at::full({3, 2}, 1e-4)) < 1e-10);
}
