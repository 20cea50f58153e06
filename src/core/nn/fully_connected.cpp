#include "core/nn/fully_connected.h"

#include <ATen/ATen.h>

#include <string>

#include "core/base/errors.h"

namespace rscvi {
namespace {

constexpr double batch_norm_momentum = 0.01;
constexpr double batch_norm_eps = 0.001;

}  // namespace

std::int64_t n_columns(std::int64_t n_categories) { return n_categories > 1 ? n_categories : 0; }

const at::Tensor& codes_of(const Covariates& covariates, std::size_t which, std::int64_t n_categories) {
  if (which < covariates.size() && covariates[which].defined()) return covariates[which];
  throw InvalidArgument("the model was built with " + std::to_string(n_categories) +
                        " batches or labels, but the cells' codes were not given");
}

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

at::Tensor BatchNormImpl::evaluate_from(const at::Tensor& x, std::int64_t first) const {
  const auto some = [&](const at::Tensor& tensor) { return tensor.narrow(0, first, x.size(1)); };
  return at::batch_norm(x, some(weight), some(bias), some(running_mean), some(running_var), /*training=*/false,
                        batch_norm_momentum, batch_norm_eps, /*cudnn_enabled=*/true);
}

FullyConnectedLayerImpl::FullyConnectedLayerImpl(std::int64_t n_in, std::int64_t n_out,
                                                 std::vector<std::int64_t> n_categories, double dropout_rate,
                                                 RandomStream& random)
    : n_in_(n_in), n_categories_(std::move(n_categories)), dropout_rate_(dropout_rate) {
  std::int64_t width = n_in;
  for (const std::int64_t n : n_categories_) width += n_columns(n);
  linear_ = register_module("0", Linear(width, n_out, random));
  batch_norm_ = register_module("1", BatchNorm(n_out));
}

at::Tensor FullyConnectedLayerImpl::forward(const at::Tensor& x, const Covariates& covariates, RandomStream& random) {
  at::Tensor h;
  if (linear_->weight.size(1) == n_in_) {
    h = linear_->forward(x);
  } else {
    // A one-hot column picks a column of the weight: look it up and add it, rather than build the wide input.
    h = at::linear(x, linear_->weight.narrow(1, 0, n_in_), linear_->bias);
    std::int64_t start = n_in_;
    for (std::size_t c = 0; c < n_categories_.size(); ++c) {
      const std::int64_t n = n_columns(n_categories_[c]);
      if (n == 0) continue;
      h = h + linear_->weight.narrow(1, start, n).t().index_select(0, codes_of(covariates, c, n));
      start += n;
    }
  }
  h = at::relu(batch_norm_->forward(h));
  if (is_training() && dropout_rate_ > 0) h = h * random.dropout_mask(h, dropout_rate_);
  return h;
}

FullyConnectedImpl::FullyConnectedImpl(const FullyConnectedOptions& options, RandomStream& random) {
  const auto layers = register_module("fc_layers", make_namespace());
  for (std::int64_t i = 0; i < options.n_layers; ++i) {
    const std::int64_t from = i == 0 ? options.n_in : options.n_hidden;
    const std::int64_t to = i == options.n_layers - 1 ? options.n_out : options.n_hidden;
    layers_.push_back(layers->register_module(
        "Layer " + std::to_string(i),
        FullyConnectedLayer(from, to, options.n_categories, options.dropout_rate, random)));
  }
}

at::Tensor FullyConnectedImpl::forward(at::Tensor x, const Covariates& covariates, RandomStream& random) {
  for (auto& layer : layers_) x = layer->forward(x, covariates, random);
  return x;
}

}  // namespace rscvi
