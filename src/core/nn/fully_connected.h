// The block that every encoder and decoder is made of: n_layers times Linear, BatchNorm, ReLU, Dropout.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "core/base/random.h"
#include "core/nn/covariates.h"
#include "core/nn/linear.h"

namespace rscvi {

struct FullyConnectedOptions {
  std::int64_t n_in = 1;
  std::int64_t n_out = 128;
  CovariateSizes covariates;  // columns behind the input of every layer
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

// One layer: submodules "0" (Linear) and "1" (BatchNorm).
class FullyConnectedLayerImpl : public torch::nn::Module {
 public:
  FullyConnectedLayerImpl(std::int64_t n_in, std::int64_t n_out, CovariateSizes sizes, double dropout_rate,
                          RandomStream& random);
  // Input: a tensor, or cells x genes.
  template <class Input>
  at::Tensor forward(const Input& x, const Covariates& covariates, RandomStream& random);

 private:
  std::int64_t n_in_;
  CovariateSizes sizes_;
  double dropout_rate_;
  Linear linear_{nullptr};
  BatchNorm batch_norm_{nullptr};
};
TORCH_MODULE(FullyConnectedLayer);

// (B, n_in) -> (B, n_out). Layers are called "fc_layers.Layer 0", "fc_layers.Layer 1", ...
class FullyConnectedImpl : public torch::nn::Module {
 public:
  FullyConnectedImpl(const FullyConnectedOptions& options, RandomStream& random);
  // `random` feeds dropout, in training mode alone.
  at::Tensor forward(const at::Tensor& x, const Covariates& covariates, RandomStream& random);
  at::Tensor forward(const CellMatrix& x, const Covariates& covariates, RandomStream& random);

 private:
  at::Tensor after_first(at::Tensor h, const Covariates& covariates, RandomStream& random);

  std::vector<FullyConnectedLayer> layers_;
};
TORCH_MODULE(FullyConnected);

// A nameless container, for the levels of dotted names that hold nothing of their own ("px_scale_decoder.0").
std::shared_ptr<torch::nn::Module> make_namespace();

}  // namespace rscvi
