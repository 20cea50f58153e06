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
  // The mean is 0 for every cell until training moves it. (In the first step hidden units then learn from the variance
  // alone; the layer's own gradient is not 0.)
  void start_mean_at_zero();

 private:
  FullyConnected encoder_{nullptr};
  Linear mean_encoder_{nullptr};
  Linear var_encoder_{nullptr};
};
TORCH_MODULE(Encoder);

}  // namespace rscvi
