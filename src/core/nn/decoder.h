// Decoders: a latent position to the parameters of the counts.
#pragma once

#include "core/nn/fully_connected.h"

namespace rscvi {

// What of the decoder is wanted: the logits of the shares always, the two others cost a matrix product each.
struct DecoderWants {
  bool dispersion = false;
  bool dropout = true;
};

struct DecoderOutput {
  at::Tensor scale_logits;    // (B, G); the softmax over genes of logits + bias is the expected share of each
  at::Tensor log_dispersion;  // (B, G) ln theta, or undefined
  at::Tensor dropout;         // (B, G); with its bias the logit of the dropout probability, or undefined
  // (G) each, or undefined for 0. They are not added: whoever goes through (B, G) next does it on the way.
  at::Tensor scale_bias{}, dropout_bias{};
};

class CountDecoder : public torch::nn::Module {
 public:
  virtual DecoderOutput forward(const at::Tensor& z, const Covariates& covariates, const DecoderWants& wants,
                                RandomStream& random) = 0;

  // forward() in two steps, for whoever wants a few genes at a time, in evaluation mode: what comes before the last
  // layer, (B, n_hidden), and from it the logits of `scale` for genes first .. first + n - 1, (B, n).
  virtual at::Tensor hidden(const at::Tensor& z, const Covariates& covariates, RandomStream& random) = 0;
  virtual at::Tensor scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n) = 0;
};

// A fully connected block. Submodules "px_decoder", "px_scale_decoder.0", "px_r_decoder", "px_dropout_decoder" (scvi
// 0.6.8, DecoderSCVI).
class DecoderImpl : public CountDecoder {
 public:
  DecoderImpl(const FullyConnectedOptions& block, std::int64_t n_genes, RandomStream& random);
  DecoderOutput forward(const at::Tensor& z, const Covariates& covariates, const DecoderWants& wants,
                        RandomStream& random) override;
  at::Tensor hidden(const at::Tensor& z, const Covariates& covariates, RandomStream& random) override;
  at::Tensor scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n) override;

 private:
  FullyConnected px_decoder_{nullptr};
  Linear px_scale_decoder_{nullptr};
  Linear px_r_decoder_{nullptr};
  Linear px_dropout_decoder_{nullptr};
};
TORCH_MODULE(Decoder);

}  // namespace rscvi
