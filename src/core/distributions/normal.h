// Gaussians with diagonal covariance, given by mean and variance. Each function is one pass over memory and one step of
// the backward pass where all tensors are floats of one size on the CPU, and goes by LibTorch's operators otherwise.
// Minibatches have few latent numbers: what LibTorch needs to start an operator took longer than its work.
#pragma once

#include <ATen/core/Tensor.h>

namespace rscvi {

// exp(log_variance) + floor
at::Tensor variance_above(const at::Tensor& log_variance, double floor);

// mean + sqrt(variance) noise
at::Tensor from_noise(const at::Tensor& mean, const at::Tensor& variance, const at::Tensor& noise);

// KL(N(m, v) || N(0, 1)) summed over the last axis.
at::Tensor kl_to_standard_normal(const at::Tensor& m, const at::Tensor& v);

// KL(N(m, v) || N(prior_m, prior_v)) summed over the last axis.
at::Tensor kl_between_normals(const at::Tensor& m, const at::Tensor& v, const at::Tensor& prior_m,
                              const at::Tensor& prior_v);

// ln N(x; m, v) summed over the last axis. By operators alone.
at::Tensor log_normal(const at::Tensor& x, const at::Tensor& m, const at::Tensor& v);

}  // namespace rscvi
