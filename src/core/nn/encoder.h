// Encoder: a cell to a Gaussian over its latent variable.
#pragma once

#include "core/nn/fully_connected.h"

namespace rscvi {

// Mean and variance, (B, n_out) each.
struct GaussianParameters {
  at::Tensor mean, variance;
};

// mean = Linear(h), variance = exp(Linear(h)) + 1e-4 with h a fully connected block.
// Submodules "encoder", "mean_encoder", "var_encoder".
class EncoderImpl : public torch::nn::Module {
 public:
  EncoderImpl(const FullyConnectedOptions& block, std::int64_t n_out, RandomStream& random);
  // x: (B, n_in), cells x genes or a tensor.
  template <class Input>
  GaussianParameters forward(const Input& x, const Covariates& covariates, RandomStream& random);

 private:
  FullyConnected encoder_{nullptr};
  Linear mean_encoder_{nullptr};
  Linear var_encoder_{nullptr};
};
TORCH_MODULE(Encoder);

}  // namespace rscvi
