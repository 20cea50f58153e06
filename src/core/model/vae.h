// The variational autoencoder of scVI (Lopez et al. 2018, Nature Methods 15:1053; scvi 0.6.8, models/vae.py).
//
//   z ~ N(0, I) or its softmax,  l ~ N(local mean, local variance)            priors
//   rho = softmax(decoder(z, batch, covariates)),  mu = exp(l) rho                        mean of the counts
//   x_g ~ ZINB / NB / Poisson(mu_g, theta_g, pi_g)
//   q(z | x), q(l | x): diagonal Gaussians from two encoders
//
// Shapes: B cells, G genes, L latent dimensions, S draws. Codes are 0-based.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <optional>

#include "core/base/random.h"
#include "core/data/minibatch.h"
#include "core/distributions/counts.h"
#include "core/model/kl_weight.h"
#include "core/model/vae_options.h"
#include "core/nn/decoder.h"
#include "core/nn/encoder.h"

namespace rscvi {

// What the encoders say of cells.
struct EncodedCells {
  at::Tensor qz_m, qz_v;  // (B, L); of the Gaussian before any softmax
  at::Tensor ql_m, ql_v;  // (B, 1); of ln library size
};

// Standard normal draws to use in place of random ones; an undefined tensor means "draw".
struct Noise {
  at::Tensor z;        // (B, L), or (S, B, L)
  at::Tensor library;  // (B, 1), or (S, B, 1)
  at::Tensor z2;       // of SCANVI's loss: (B, L) with known labels, (K * B, L) with unknown ones, label by label
};

struct LatentDraw {
  at::Tensor gaussian;  // (B, L) or (S, B, L), before any softmax
  at::Tensor z;         // the same after it; equal to `gaussian` for the normal latent distribution
  at::Tensor library;   // (B, 1) or (S, B, 1), ln library size
};

struct CountParameters {
  at::Tensor px_scale;    // (B, G) or (S, B, G), rows sum to 1
  at::Tensor px_rate;     // exp(library) * px_scale, or undefined where the draw has no library
  at::Tensor px_r;        // theta: (G) for dispersion per gene, else like px_scale; (B, G) per batch or label
  at::Tensor px_dropout;  // logit of the dropout probability, or undefined where nobody wants it
};

// Per cell (B), in nats. Their sum is the negative ELBO.
struct LossTerms {
  at::Tensor reconst_loss;  // -ln p(x | z, l)
  at::Tensor kl_z;          // KL(q(z | x) || p(z)), of the Gaussians before any softmax; of z2 for SCANVI
  at::Tensor kl_l;          // KL(q(l | x) || p(l))
  at::Tensor kl_z1;         // SCANVI: ln q(z1 | x) - ln p(z1 | z2, y) at a draw; otherwise undefined
  at::Tensor kl_y;          // unknown labels: KL(q(y | x) || p(y)); otherwise undefined
  GaussianParameters qz;    // what kl_z is of, (B, L) each, for free bits; may be undefined with a classifier

  at::Tensor negative_elbo() const;
};

class VaeImpl : public torch::nn::Module {
 public:
  VaeImpl(const VaeOptions& options, RandomStream& random);  // for options.type vae and ldvae; see make_model()

  const VaeOptions& options() const { return options_; }
  c10::Device device() const;

  // The encoders of a VAEC see the label; batch and covariates are seen with options.encode_covariates alone.
  EncodedCells encode(const CellMatrix& x, const Conditions& conditions, RandomStream& random);
  // Its two halves. An observed library has variance 0.
  GaussianParameters encode_z(const CellMatrix& x, const Conditions& conditions, RandomStream& random);
  GaussianParameters encode_library(const CellMatrix& x, const Conditions& conditions, RandomStream& random);

  // One draw (n_samples absent) of shape (B, .), or n_samples draws of shape (S, B, .).
  LatentDraw draw(const EncodedCells& encoded, std::optional<std::int64_t> n_samples, const Noise& noise,
                  RandomStream& random) const;

  // z alone: `library` stays undefined.
  LatentDraw draw_z(const GaussianParameters& qz, std::optional<std::int64_t> n_samples, const at::Tensor& noise,
                    RandomStream& random) const;

  // The batch to decode as need not be the observed one. Draws of shape (S, B, .) are decoded as S * B cells.
  CountParameters decode(const LatentDraw& draw, const Conditions& conditions, bool want_dropout,
                         RandomStream& random);

  // decode() for px_scale alone, a few genes at a time: hidden state of B draws, (B, n_hidden), and the logits whose
  // softmax over all genes is px_scale, for genes first .. first + n - 1, (B, n).
  at::Tensor decode_hidden(const at::Tensor& z, const Conditions& conditions, RandomStream& random);
  at::Tensor scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n);

  // ln p(x | z, l) of one draw, (B), or of S draws, (S, B).
  at::Tensor log_likelihood(const CellMatrix& x, const LatentDraw& draw, const Conditions& conditions,
                            RandomStream& random);

  // Counts drawn from p(x | parameters), of px_rate's shape. The parameters may be of some genes alone.
  at::Tensor draw_counts(const CountParameters& parameters, RandomStream& random) const;

  // Labels are taken as known. One draw of each latent variable.
  virtual LossTerms loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random);

  // What training minimises, (B): the terms, of which those that are annealed count `kl_weight` times. For a VAE that
  // is kl_z alone. free_bits: see training/train_options.h; kl_z is then the sum over latent dimensions of the larger
  // of free_bits and the dimension's mean over the cells. InvalidArgument if asked of a model with a classifier.
  virtual at::Tensor objective(const LossTerms& terms, const KlWeight& kl_weight, double free_bits = 0) const;

  // Models with a classifier alone; InvalidArgument for others.
  // ln q(y | x), (B, K).
  virtual at::Tensor classify(const CellMatrix& x, const Conditions& conditions, RandomStream& random);
  // loss_terms() without a look at the labels: averaged over q(y | x).
  virtual LossTerms unlabelled_loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random);

 protected:
  // KL(q(l | x) || p(l)), (B); 0 for an observed library.
  at::Tensor kl_of_library(const GaussianParameters& ql, const Minibatch& minibatch) const;
  // ln theta: (G), or (B, G) by the cells' batch or label.
  virtual at::Tensor log_dispersion(const at::Tensor& batch_index, const at::Tensor& label) const;

  VaeOptions options_;
  at::Tensor px_r_;  // ln theta: (G), (G, n_batch) or (G, n_labels); undefined for dispersion per cell

 private:
  CellMatrix encoder_input(const CellMatrix& x) const;
  // What the decoder says of S * B draws, or of B; its ln theta may be of the cells alone.
  CountLogits decode_logits(const LatentDraw& draw, const Conditions& conditions, bool want_dropout,
                            RandomStream& random);

  Encoder z_encoder_{nullptr};
  Encoder l_encoder_{nullptr};  // empty for an observed library
  std::shared_ptr<CountDecoder> decoder_;
};
TORCH_MODULE(Vae);

// mean + sqrt(variance) * noise: one draw of shape (B, .), or n_samples of them, (S, B, .). `name` is the noise's, for
// an error if it has another shape; without noise, it is drawn.
at::Tensor draw_normal(const GaussianParameters& gaussian, std::optional<std::int64_t> n_samples,
                       const at::Tensor& noise, const char* name, RandomStream& random);

// As the networks of z and x see them: batch, label, further covariates.
Covariates covariates_of(const VaeOptions& options, const Conditions& conditions);

// The fully connected block that a model of these options has in an encoder of so many inputs.
FullyConnectedOptions encoder_block(const VaeOptions& options, std::int64_t n_in, std::int64_t n_layers);

}  // namespace rscvi
