#include "core/nn/decoder.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("decoder: shares by softmax, dispersion and dropout linear, each from the block's output") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options;
  options.n_in = 3;
  options.n_out = options.n_hidden = 7;
  options.covariates.n_categories = {2};
  options.n_layers = 2;
  RandomStream random(1);
  Decoder decoder(options, /*n_genes=*/9, random);
  scramble(*decoder);
  decoder->eval();
  const at::Tensor z = random.normal({11, 3}, c10::kCPU), batch = at::arange(11) % 2;
  DecoderWants wants;
  wants.dispersion = true;
  const DecoderOutput out = decoder->forward(z, {{batch}}, wants, random);

  const State state = live_state(*decoder);
  const at::Tensor h = block_by_hand(state, "px_decoder", z, one_hot_columns(batch, 2));
  const at::Tensor weights = at::exp(linear_by_hand(state, "px_scale_decoder.0", h));
  const at::Tensor share = at::softmax(out.scale_logits + out.scale_bias, -1);
  CHECK(max_relative_difference(share, weights / weights.sum(1, /*keepdim=*/true)) < 1e-6);
  CHECK(max_relative_difference(out.log_dispersion, linear_by_hand(state, "px_r_decoder", h)) < 1e-5);
  CHECK(max_relative_difference(out.dropout + out.dropout_bias, linear_by_hand(state, "px_dropout_decoder", h)) < 1e-5);
}

TEST_CASE("decoder: what is not wanted is not computed") {
  FullyConnectedOptions options;
  options.n_in = 3;
  RandomStream random(1);
  Decoder decoder(options, /*n_genes=*/4, random);
  DecoderWants wants;
  wants.dropout = false;
  const DecoderOutput out = decoder->forward(at::zeros({5, 3}), {}, wants, random);
  CHECK(out.scale_logits.defined());
  CHECK_FALSE(out.log_dispersion.defined());
  CHECK_FALSE(out.dropout.defined());
}
