#include "core/distributions/draws.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

constexpr double largest_rate = 1e8;

// A gamma draw in single precision is never below 1e-38: divided by a theta of that size, it would be far from 0 where
// the distribution is all but a point mass there. And with an infinite theta it would be NaN.
constexpr double smallest_theta = 1e-8, largest_theta = 1e20;

}  // namespace

at::Tensor draw_rates(const at::Tensor& mu, const at::Tensor& theta, RandomStream& random) {
  const at::Tensor shape = theta.clamp(smallest_theta, largest_theta);
  return random.gamma(shape.expand_as(mu)).mul_(mu / shape);
}

at::Tensor draw_counts(CountDistribution distribution, const at::Tensor& mu, const at::Tensor& theta,
                       const at::Tensor& pi, RandomStream& random) {
  const bool has_theta = distribution != CountDistribution::poisson;
  const at::Tensor rate = has_theta ? draw_rates(mu, theta, random) : mu;
  at::Tensor counts = random.poisson(rate.clamp_max(largest_rate));
  if (distribution == CountDistribution::zinb) {
    counts.masked_fill_(random.uniform_like(counts) <= at::sigmoid(pi), 0);
  }
  return counts;
}

}  // namespace rscvi
