// A latent variable to a Gaussian over another one: SCANVI's p(z1 | z2, y).
#pragma once

#include "core/nn/encoder.h"

namespace rscvi {

// mean = Linear(h), variance = exp(Linear(h)) with h a fully connected block. Submodules "decoder", "mean_decoder",
// "var_decoder". Unlike an encoder's, its variance has no floor (scvi 0.6.8, Decoder).
class GaussianDecoderImpl : public torch::nn::Module {
 public:
  GaussianDecoderImpl(const FullyConnectedOptions& block, std::int64_t n_out, RandomStream& random);
  GaussianParameters forward(const at::Tensor& x, const Covariates& covariates, RandomStream& random);

 private:
  FullyConnected decoder_{nullptr};
  Linear mean_decoder_{nullptr};
  Linear var_decoder_{nullptr};
};
TORCH_MODULE(GaussianDecoder);

}  // namespace rscvi
