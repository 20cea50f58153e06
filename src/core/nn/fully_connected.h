// The block that every encoder and decoder is made of: n_layers times Linear, BatchNorm, ReLU, Dropout.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "core/base/random.h"
#include "core/nn/linear.h"

namespace rscvi {

struct FullyConnectedOptions {
  std::int64_t n_in = 1;
  std::int64_t n_out = 128;
  // Number of categories of each covariate. Every layer's Linear gets their one-hot columns behind its input, in this
  // order; a covariate with fewer than two categories has no columns.
  std::vector<std::int64_t> n_categories;
  std::int64_t n_layers = 1;
  std::int64_t n_hidden = 128;  // width between layers
  double dropout_rate = 0;
};

// Batch normalisation over cells, (B, F) -> (B, F); momentum 0.01, eps 0.001.
class BatchNormImpl : public torch::nn::Module {
 public:
  explicit BatchNormImpl(std::int64_t n_features);
  at::Tensor forward(const at::Tensor& x);
  // The same for features first, first + 1, ... alone, (B, n), in evaluation mode.
  at::Tensor evaluate_from(const at::Tensor& x, std::int64_t first) const;

  at::Tensor weight, bias, running_mean, running_var, num_batches_tracked;
};
TORCH_MODULE(BatchNorm);

// The codes (B, int64) of each covariate of a block, in the order of FullyConnectedOptions::n_categories. A covariate
// without columns may be undefined.
using Covariates = std::vector<at::Tensor>;

// One layer: submodules "0" (Linear) and "1" (BatchNorm).
class FullyConnectedLayerImpl : public torch::nn::Module {
 public:
  FullyConnectedLayerImpl(std::int64_t n_in, std::int64_t n_out, std::vector<std::int64_t> n_categories,
                          double dropout_rate, RandomStream& random);
  at::Tensor forward(const at::Tensor& x, const Covariates& covariates, RandomStream& random);

 private:
  std::int64_t n_in_;
  std::vector<std::int64_t> n_categories_;
  double dropout_rate_;
  Linear linear_{nullptr};
  BatchNorm batch_norm_{nullptr};
};
TORCH_MODULE(FullyConnectedLayer);

// Columns that a covariate of so many categories adds to a layer's input: none for fewer than two.
std::int64_t n_columns(std::int64_t n_categories);

// The codes of a covariate with columns; InvalidArgument if they were not given.
const at::Tensor& codes_of(const Covariates& covariates, std::size_t which, std::int64_t n_categories);

// (B, n_in) -> (B, n_out). Layers are called "fc_layers.Layer 0", "fc_layers.Layer 1", ...
class FullyConnectedImpl : public torch::nn::Module {
 public:
  FullyConnectedImpl(const FullyConnectedOptions& options, RandomStream& random);
  // `random` feeds dropout, in training mode alone.
  at::Tensor forward(at::Tensor x, const Covariates& covariates, RandomStream& random);

 private:
  std::vector<FullyConnectedLayer> layers_;
};
TORCH_MODULE(FullyConnected);

// A nameless container, for the levels of dotted names that hold nothing of their own ("px_scale_decoder.0").
std::shared_ptr<torch::nn::Module> make_namespace();

}  // namespace rscvi
