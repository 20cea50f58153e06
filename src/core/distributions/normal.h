// Gaussians with diagonal covariance, given by mean and variance.
#pragma once

#include <ATen/ATen.h>

#include <cmath>

namespace rscvi {

// KL(N(m, v) || N(0, 1)) summed over the last axis.
inline at::Tensor kl_to_standard_normal(const at::Tensor& m, const at::Tensor& v) {
  return (v + m * m - 1 - at::log(v)).sum(-1) * 0.5;
}

// KL(N(m, v) || N(prior_m, prior_v)) summed over the last axis.
inline at::Tensor kl_between_normals(const at::Tensor& m, const at::Tensor& v, const at::Tensor& prior_m,
                                     const at::Tensor& prior_v) {
  return (at::log(prior_v / v) + (v + (m - prior_m).square()) / prior_v - 1).sum(-1) * 0.5;
}

// ln N(x; m, v) summed over the last axis.
inline at::Tensor log_normal(const at::Tensor& x, const at::Tensor& m, const at::Tensor& v) {
  constexpr double log_two_pi = 1.8378770664093454836;
  return ((x - m).square() / v + at::log(v) + log_two_pi).sum(-1) * -0.5;
}

}  // namespace rscvi
