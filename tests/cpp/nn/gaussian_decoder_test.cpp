#include "core/nn/gaussian_decoder.h"

#include <cmath>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("gaussian decoder: mean and logarithm of the variance are linear in the block's output") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options;
  options.n_in = 4;
  options.n_out = options.n_hidden = 7;
  options.covariates.n_categories = {3};
  options.n_layers = 2;
  RandomStream random(1);
  GaussianDecoder decoder(options, /*n_out=*/5, random);
  scramble(*decoder);
  decoder->eval();
  const at::Tensor x = random.normal({11, 4}, c10::kCPU), label = at::arange(11) % 3;
  const GaussianParameters out = decoder->forward(x, {{label}}, random);

  const State state = live_state(*decoder);
  const at::Tensor h = block_by_hand(state, "decoder", x, one_hot_columns(label, 3));
  CHECK(max_relative_difference(out.mean, linear_by_hand(state, "mean_decoder", h)) < 1e-5);
  CHECK(max_relative_difference(out.variance, at::exp(linear_by_hand(state, "var_decoder", h))) < 1e-5);
}

TEST_CASE("gaussian decoder: the variance has no floor") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options;
  options.n_in = 2;
  RandomStream random(1);
  GaussianDecoder decoder(options, /*n_out=*/2, random);
  decoder->eval();
  find(live_state(*decoder), "var_decoder.weight").detach().zero_();
  find(live_state(*decoder), "var_decoder.bias").detach().fill_(-20);
  const at::Tensor variance = decoder->forward(at::ones({3, 2}), {}, random).variance;
  CHECK(max_difference(variance / std::exp(-20.0), at::ones({3, 2})) < 1e-5);
}
