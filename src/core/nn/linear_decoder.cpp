#include "core/nn/linear_decoder.h"

#include <ATen/ATen.h>

namespace rscvi {

LinearFactorsImpl::LinearFactorsImpl(const LinearDecoderOptions& options, RandomStream& random) {
  const std::int64_t width = options.n_latent + n_columns(options.covariates);
  const auto layers = register_module("fc_layers", make_namespace());
  const auto layer = layers->register_module("Layer 0", make_namespace());
  linear_ = layer->register_module("0", Linear(width, options.n_genes, random, options.bias));
  if (options.use_batch_norm) batch_norm_ = layer->register_module("1", BatchNorm(options.n_genes));
}

at::Tensor LinearFactorsImpl::forward(const at::Tensor& input) {
  const at::Tensor out = linear_->forward(input);
  return batch_norm_ ? batch_norm_->forward(out) : out;
}

at::Tensor LinearFactorsImpl::evaluate(const at::Tensor& input, std::int64_t first, std::int64_t n) {
  const at::Tensor& bias = linear_->bias;
  const at::Tensor out =
      apply_linear(input, linear_->weight.narrow(0, first, n), bias.defined() ? bias.narrow(0, first, n) : bias);
  return batch_norm_ ? batch_norm_->evaluate_from(out, first) : out;
}

LinearDecoderImpl::LinearDecoderImpl(const LinearDecoderOptions& options, RandomStream& random)
    : sizes_(options.covariates) {
  factor_regressor_ = register_module("factor_regressor", LinearFactors(options, random));
  px_dropout_decoder_ = register_module("px_dropout_decoder", LinearFactors(options, random));
}

DecoderOutput LinearDecoderImpl::forward(const at::Tensor& z, const Covariates& covariates, const DecoderWants& wants,
                                         RandomStream& random) {
  const at::Tensor input = hidden(z, covariates, random);
  DecoderOutput out;
  out.scale_logits = factor_regressor_->forward(input);
  // Unwanted too while training, as in 0.6.8: its batch normalisation keeps count of what it sees.
  if (wants.dropout || is_training()) out.dropout = px_dropout_decoder_->forward(input);
  return out;
}

at::Tensor LinearDecoderImpl::hidden(const at::Tensor& z, const Covariates& covariates, RandomStream&) {
  std::vector<at::Tensor> columns = {z};
  for (std::size_t c = 0; c < sizes_.n_categories.size(); ++c) {
    const std::int64_t n = n_columns(sizes_.n_categories[c]);
    if (n > 0) columns.push_back(at::one_hot(codes_of(covariates, c, n), n).to(z.scalar_type()));
  }
  if (sizes_.n_continuous > 0) columns.push_back(values_of(covariates, sizes_.n_continuous));
  return at::cat(columns, 1);
}

at::Tensor LinearDecoderImpl::scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n) {
  return factor_regressor_->evaluate(hidden, first, n);
}

}  // namespace rscvi
