// Log-likelihood of counts, summed over genes, differentiable in every parameter.
//
// Shapes: x (B, G); mu and pi (B, G); theta (G) for one dispersion a gene or (B, G). Result (B), in nats.
// On the CPU value and derivatives come from one fused pass (count_kernels.h); elsewhere, and where `fused` is false,
// the same formulas are composed of LibTorch operators, which is also what the tests hold the fused pass against.
#pragma once

#include <ATen/core/Tensor.h>

namespace rscvi {

enum class CountDistribution { zinb, nb, poisson };

// theta is ignored by poisson, pi by poisson and nb; they may be undefined there.
at::Tensor log_likelihood(CountDistribution distribution, const at::Tensor& x, const at::Tensor& mu,
                          const at::Tensor& theta, const at::Tensor& pi, bool fused = true);

// The same per entry, without derivatives; all tensors of one shape and type, on the CPU.
at::Tensor log_probability(CountDistribution distribution, const at::Tensor& x, const at::Tensor& mu,
                           const at::Tensor& theta, const at::Tensor& pi);

}  // namespace rscvi
