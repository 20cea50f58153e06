// The decoder of LDVAE: expression is linear in the latent variables, up to the softmax over genes
// (Svensson et al. 2020, Bioinformatics 36:3418; scvi 0.6.8, LinearDecoderSCVI).
#pragma once

#include "core/nn/decoder.h"

namespace rscvi {

struct LinearDecoderOptions {
  std::int64_t n_latent = 10;
  CovariateSizes covariates;  // their columns follow the latent variables
  std::int64_t n_genes = 1;
  bool use_batch_norm = true;  // over cells, gene by gene
  bool bias = false;
};

// (B, n_latent + columns of covariates) -> (B, n_genes), linear. Names "fc_layers.Layer 0.0" and, for batch
// normalisation, "fc_layers.Layer 0.1".
class LinearFactorsImpl : public torch::nn::Module {
 public:
  LinearFactorsImpl(const LinearDecoderOptions& options, RandomStream& random);
  at::Tensor forward(const at::Tensor& input);
  at::Tensor evaluate(const at::Tensor& input, std::int64_t first, std::int64_t n);  // some genes, in evaluation mode

 private:
  Linear linear_{nullptr};
  BatchNorm batch_norm_{nullptr};  // may stay empty
};
TORCH_MODULE(LinearFactors);

// Submodules "factor_regressor" and "px_dropout_decoder". It gives no dispersion.
class LinearDecoderImpl : public CountDecoder {
 public:
  LinearDecoderImpl(const LinearDecoderOptions& options, RandomStream& random);
  DecoderOutput forward(const at::Tensor& z, const Covariates& covariates, const DecoderWants& wants,
                        RandomStream& random) override;
  at::Tensor hidden(const at::Tensor& z, const Covariates& covariates, RandomStream& random) override;
  at::Tensor scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n) override;

 private:
  CovariateSizes sizes_;
  LinearFactors factor_regressor_{nullptr};
  LinearFactors px_dropout_decoder_{nullptr};
};
TORCH_MODULE(LinearDecoder);

}  // namespace rscvi
