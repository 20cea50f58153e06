// Random draws of counts, and of the rates behind them.
//
// Shapes: mu and pi (..., G); theta of any shape that broadcasts to mu's, (G) for one dispersion a gene. Results have
// mu's shape, type and device.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/base/random.h"
#include "core/distributions/counts.h"

namespace rscvi {

// Gamma of mean mu and shape theta: its variance is mu^2 / theta. Where mu is 0, so is the draw.
at::Tensor draw_rates(const at::Tensor& mu, const at::Tensor& theta, RandomStream& random);

// Negative binomial: Poisson with a rate from draw_rates(). Zero-inflated: 0 where a uniform draw is at most
// sigmoid(pi). Rates above 1e8 count as 1e8, as in scvi 0.6.8. theta is ignored by poisson, pi by poisson and nb; they
// may be undefined there.
at::Tensor draw_counts(CountDistribution distribution, const at::Tensor& mu, const at::Tensor& theta,
                       const at::Tensor& pi, RandomStream& random);

}  // namespace rscvi
