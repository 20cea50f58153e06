// Where cells lie in latent space, and how large their libraries are.
#pragma once

#include "core/posterior/posterior.h"

namespace rscvi {

// (n, L). give_mean: the mean of q(z | x); for the logistic normal distribution, whose mean has no closed form, the
// average of the softmax of `n_samples` draws. Otherwise one draw of z. noise.z: (n, L) for a draw, (S, n, L) for the
// average of S draws; noise.library is not looked at.
at::Tensor latent(const Posterior& posterior, bool give_mean, std::int64_t n_samples, const Noise& noise,
                  RandomStream& random);

// (n), one draw of ln library size a cell. noise.library: (n, 1).
at::Tensor library_draws(const Posterior& posterior, const Noise& noise, RandomStream& random);

}  // namespace rscvi
