#include "core/nn/encoder.h"

#include <ATen/ATen.h>

#include "core/distributions/normal.h"

namespace rscvi {
namespace {

// Keeps the variance away from 0, where the KL divergence is infinite.
constexpr double variance_floor = 1e-4;

}  // namespace

EncoderImpl::EncoderImpl(const FullyConnectedOptions& block, std::int64_t n_out, RandomStream& random) {
  encoder_ = register_module("encoder", FullyConnected(block, random));
  mean_encoder_ = register_module("mean_encoder", Linear(block.n_out, n_out, random));
  var_encoder_ = register_module("var_encoder", Linear(block.n_out, n_out, random));
}

template <class Input>
GaussianParameters EncoderImpl::forward(const Input& x, const Covariates& covariates, RandomStream& random) {
  const at::Tensor h = encoder_->forward(x, covariates, random);
  return {mean_encoder_->forward(h), variance_above(var_encoder_->forward(h), variance_floor)};
}

void EncoderImpl::start_mean_at_zero() {
  const at::NoGradGuard no_grad;
  mean_encoder_->weight.zero_();
  mean_encoder_->bias.zero_();
}

template GaussianParameters EncoderImpl::forward(const at::Tensor&, const Covariates&, RandomStream&);
template GaussianParameters EncoderImpl::forward(const CellMatrix&, const Covariates&, RandomStream&);

}  // namespace rscvi
