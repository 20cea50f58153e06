#include "core/nn/fully_connected.h"

#include <ATen/ATen.h>

#include <string>

#include "core/base/errors.h"
#include "core/nn/hidden_units.h"

namespace rscvi {
namespace {

constexpr double batch_norm_momentum = 0.01;
constexpr double batch_norm_eps = 0.001;
constexpr double layer_norm_eps = 1e-5;

}  // namespace

std::shared_ptr<torch::nn::Module> make_namespace() {
  struct Namespace : torch::nn::Module {};
  return std::make_shared<Namespace>();
}

BatchNormImpl::BatchNormImpl(std::int64_t n_features) {
  weight = register_parameter("weight", at::ones({n_features}));
  bias = register_parameter("bias", at::zeros({n_features}));
  running_mean = register_buffer("running_mean", at::zeros({n_features}));
  running_var = register_buffer("running_var", at::ones({n_features}));
  num_batches_tracked = register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

at::Tensor BatchNormImpl::forward(const at::Tensor& x) {
  if (is_training()) num_batches_tracked.add_(1);
  return at::batch_norm(x, weight, bias, running_mean, running_var, is_training(), batch_norm_momentum,
                        batch_norm_eps, /*cudnn_enabled=*/true);
}

at::Tensor BatchNormImpl::hidden_units(const at::Tensor& x, double dropout_rate, RandomStream& random) {
  if (is_training()) num_batches_tracked.add_(1);
  return rscvi::hidden_units(x, {weight, bias, running_mean, running_var, batch_norm_momentum, batch_norm_eps},
                             is_training(), dropout_rate, random);
}

at::Tensor BatchNormImpl::evaluate_from(const at::Tensor& x, std::int64_t first) const {
  const auto some = [&](const at::Tensor& tensor) { return tensor.narrow(0, first, x.size(1)); };
  return at::batch_norm(x, some(weight), some(bias), some(running_mean), some(running_var), /*training=*/false,
                        batch_norm_momentum, batch_norm_eps, /*cudnn_enabled=*/true);
}

LayerNormImpl::LayerNormImpl(std::int64_t n_features) {
  weight = register_parameter("weight", at::ones({n_features}));
  bias = register_parameter("bias", at::zeros({n_features}));
}

at::Tensor LayerNormImpl::forward(const at::Tensor& x) {
  return at::layer_norm(x, weight.sizes(), weight, bias, layer_norm_eps);
}

FullyConnectedLayerImpl::FullyConnectedLayerImpl(std::int64_t n_in, std::int64_t n_out,
                                                 const FullyConnectedOptions& block, RandomStream& random)
    : n_in_(n_in), sizes_(block.covariates), dropout_rate_(block.dropout_rate) {
  linear_ = register_module("0", Linear(n_in + n_columns(sizes_), n_out, random, /*with_bias=*/true,
                                        WeightLayout::by_input));
  if (block.normalisation == Normalisation::layer) {
    layer_norm_ = register_module("1", LayerNorm(n_out));
  } else {
    batch_norm_ = register_module("1", BatchNorm(n_out));
  }
}

template <class Input>
at::Tensor FullyConnectedLayerImpl::forward(const Input& x, const Covariates& covariates, RandomStream& random) {
  at::Tensor h;
  if (n_columns(sizes_) == 0) {
    h = apply_linear(x, linear_->weight, linear_->bias);
  } else {
    // A one-hot column picks a column of the weight: look it up and add it, rather than build the wide input.
    h = apply_linear(x, linear_->weight.narrow(1, 0, n_in_), linear_->bias);
    std::int64_t start = n_in_;
    for (std::size_t c = 0; c < sizes_.n_categories.size(); ++c) {
      const std::int64_t n = n_columns(sizes_.n_categories[c]);
      if (n == 0) continue;
      h = h + linear_->weight.narrow(1, start, n).t().index_select(0, codes_of(covariates, c, n));
      start += n;
    }
    const std::int64_t n = sizes_.n_continuous;
    if (n > 0) h = h + apply_linear(values_of(covariates, n), linear_->weight.narrow(1, start, n), {});
  }
  if (batch_norm_) return batch_norm_->hidden_units(h, dropout_rate_, random);
  h = at::relu(layer_norm_->forward(h));
  if (is_training() && dropout_rate_ > 0) h = h * random.dropout_mask(h, dropout_rate_);
  return h;
}

FullyConnectedImpl::FullyConnectedImpl(const FullyConnectedOptions& options, RandomStream& random) {
  const auto layers = register_module("fc_layers", make_namespace());
  for (std::int64_t i = 0; i < options.n_layers; ++i) {
    const std::int64_t from = i == 0 ? options.n_in : options.n_hidden;
    const std::int64_t to = i == options.n_layers - 1 ? options.n_out : options.n_hidden;
    layers_.push_back(layers->register_module(
        "Layer " + std::to_string(i), FullyConnectedLayer(from, to, options, random)));
  }
}

at::Tensor FullyConnectedImpl::forward(const at::Tensor& x, const Covariates& covariates, RandomStream& random) {
  return layers_.empty() ? x : after_first(layers_.front()->forward(x, covariates, random), covariates, random);
}

at::Tensor FullyConnectedImpl::forward(const CellMatrix& x, const Covariates& covariates, RandomStream& random) {
  return layers_.empty() ? x.dense() : after_first(layers_.front()->forward(x, covariates, random), covariates, random);
}

at::Tensor FullyConnectedImpl::after_first(at::Tensor h, const Covariates& covariates, RandomStream& random) {
  for (std::size_t k = 1; k < layers_.size(); ++k) h = layers_[k]->forward(h, covariates, random);
  return h;
}

}  // namespace rscvi
