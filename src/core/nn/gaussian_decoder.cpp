#include "core/nn/gaussian_decoder.h"

#include <ATen/ATen.h>

namespace rscvi {

GaussianDecoderImpl::GaussianDecoderImpl(const FullyConnectedOptions& block, std::int64_t n_out,
                                         RandomStream& random) {
  decoder_ = register_module("decoder", FullyConnected(block, random));
  mean_decoder_ = register_module("mean_decoder", Linear(block.n_out, n_out, random));
  var_decoder_ = register_module("var_decoder", Linear(block.n_out, n_out, random));
}

GaussianParameters GaussianDecoderImpl::forward(const at::Tensor& x, const Covariates& covariates,
                                                RandomStream& random) {
  const at::Tensor h = decoder_->forward(x, covariates, random);
  return {mean_decoder_->forward(h), at::exp(var_decoder_->forward(h))};
}

}  // namespace rscvi
