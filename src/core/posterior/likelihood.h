// How well the model explains cells. All in nats per cell, smaller is better (scvi 0.6.8, inference/log_likelihood.py).
#pragma once

#include "core/posterior/posterior.h"

namespace rscvi {

// Means over the cells.
struct MeanLossTerms {
  double reconst_loss = 0, kl_z = 0, kl_l = 0, kl_z1 = 0;  // kl_z1: of SCANVI alone
  double negative_elbo() const { return reconst_loss + kl_z + kl_l + kl_z1; }
};

// From one draw of z and of the library a cell. Labels are taken as known.
MeanLossTerms mean_loss_terms(const Posterior& posterior, const Noise& noise, RandomStream& random);

// -ln p(x), averaged over cells, by importance sampling with `n_samples` draws from q a cell:
//   ln p(x) ~ logsumexp_s [ln p(u_s) + ln p(l_s) + ln p(x | u_s, l_s) - ln q(u_s | x) - ln q(l_s | x)] - ln S
// with u the Gaussian latent variable (z itself, or what the softmax is taken of).
// noise: z (S, n, L) and library (S, n, 1) with S = n_samples.
double negative_marginal_ll(const Posterior& posterior, std::int64_t n_samples, const Noise& noise,
                            RandomStream& random);

}  // namespace rscvi
