#include "core/nn/decoder.h"

#include <ATen/ATen.h>

namespace rscvi {

DecoderImpl::DecoderImpl(const FullyConnectedOptions& block, std::int64_t n_genes, RandomStream& random) {
  px_decoder_ = register_module("px_decoder", FullyConnected(block, random));
  // Input by input: a product reads the weight as it lies.
  const auto to_genes = [&] { return Linear(block.n_out, n_genes, random, true, WeightLayout::by_input); };
  const auto scale = register_module("px_scale_decoder", make_namespace());
  px_scale_decoder_ = scale->register_module("0", to_genes());
  px_r_decoder_ = register_module("px_r_decoder", to_genes());
  px_dropout_decoder_ = register_module("px_dropout_decoder", to_genes());
}

DecoderOutput DecoderImpl::forward(const at::Tensor& z, const Covariates& covariates, const DecoderWants& wants,
                                   RandomStream& random) {
  const at::Tensor h = hidden(z, covariates, random);
  DecoderOutput out;
  out.scale_logits = apply_linear(h, px_scale_decoder_->weight, {});
  out.scale_bias = px_scale_decoder_->bias;
  if (wants.dispersion) out.log_dispersion = px_r_decoder_->forward(h);
  if (wants.dropout) {
    out.dropout = apply_linear(h, px_dropout_decoder_->weight, {});
    out.dropout_bias = px_dropout_decoder_->bias;
  }
  return out;
}

at::Tensor DecoderImpl::hidden(const at::Tensor& z, const Covariates& covariates, RandomStream& random) {
  return px_decoder_->forward(z, covariates, random);
}

at::Tensor DecoderImpl::scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n) {
  const Linear& to_genes = px_scale_decoder_;
  return apply_linear(hidden, to_genes->weight.narrow(0, first, n), to_genes->bias.narrow(0, first, n));
}

}  // namespace rscvi
