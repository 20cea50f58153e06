// The block that every encoder and decoder is made of: n_layers times Linear, normalisation, ReLU, Dropout.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "core/base/random.h"
#include "core/nn/covariates.h"
#include "core/nn/linear.h"
#include "core/nn/normalisation.h"

namespace rscvi {

struct FullyConnectedOptions {
  std::int64_t n_in = 1;
  std::int64_t n_out = 128;
  CovariateSizes covariates;  // columns behind the input of every layer
  std::int64_t n_layers = 1;
  std::int64_t n_hidden = 128;  // width between layers
  double dropout_rate = 0;
  Normalisation normalisation = Normalisation::batch;
};

// Batch normalisation over cells, (B, F) -> (B, F); momentum 0.01, eps 0.001.
class BatchNormImpl : public torch::nn::Module {
 public:
  explicit BatchNormImpl(std::int64_t n_features);
  at::Tensor forward(const at::Tensor& x);
  // The same, then ReLU and dropout.
  at::Tensor hidden_units(const at::Tensor& x, double dropout_rate, RandomStream& random);
  // The same for features first, first + 1, ... alone, (B, n), in evaluation mode.
  at::Tensor evaluate_from(const at::Tensor& x, std::int64_t first) const;

  at::Tensor weight, bias, running_mean, running_var, num_batches_tracked;
};
TORCH_MODULE(BatchNorm);

// Layer normalisation over the features of each cell, (B, F) -> (B, F): (x - mean) / sqrt(variance + 1e-5) * weight +
// bias, in training and evaluation alike.
class LayerNormImpl : public torch::nn::Module {
 public:
  explicit LayerNormImpl(std::int64_t n_features);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;
};
TORCH_MODULE(LayerNorm);

// One layer: submodules "0" (Linear) and "1" (BatchNorm or LayerNorm).
class FullyConnectedLayerImpl : public torch::nn::Module {
 public:
  // Of the block that it belongs to it takes the covariates, dropout and normalisation.
  FullyConnectedLayerImpl(std::int64_t n_in, std::int64_t n_out, const FullyConnectedOptions& block,
                          RandomStream& random);
  // Input: a tensor, or cells x genes.
  template <class Input>
  at::Tensor forward(const Input& x, const Covariates& covariates, RandomStream& random);

 private:
  std::int64_t n_in_;
  CovariateSizes sizes_;
  double dropout_rate_;
  Linear linear_{nullptr};
  BatchNorm batch_norm_{nullptr};  // one of the two
  LayerNorm layer_norm_{nullptr};
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
