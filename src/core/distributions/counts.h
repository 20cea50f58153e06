// Log-likelihood of counts, summed over genes, differentiable in every parameter.
//
// On the CPU value and derivatives come from one fused pass (count_rows.h); elsewhere, and where `fused` is false, the
// same formulas are composed of LibTorch operators, which is also what the tests hold the fused pass against.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/data/cell_matrix.h"

namespace rscvi {

enum class CountDistribution { zinb, nb, poisson };

// What a decoder says of N draws of B cells, all cells once, then all again, ...: draw r is of cell r mod B.
//   rho = softmax(scale + scale_bias),  mu = exp(log_library) rho,  theta = exp(log_theta),
//   pi = dropout + dropout_bias
struct CountLogits {
  at::Tensor scale;           // (N, G)
  at::Tensor log_library;     // (N, 1)
  at::Tensor log_theta;       // (G), (N, G), or, where no gradient is asked for, (B, G); Poisson has none
  at::Tensor dropout;         // (N, G); zero-inflated counts alone
  at::Tensor scale_bias{};    // (G), or undefined for 0
  at::Tensor dropout_bias{};  // the same
};

// ln p(x | logits) of each draw, (N), in nats. What a distribution has no use for may be undefined.
at::Tensor log_likelihood(CountDistribution distribution, const CellMatrix& x, const CountLogits& logits,
                          bool fused = true);

// rho above: softmax(scale + bias) over genes, (N, G). Without gradients, on the CPU, the memory of `scale` is used for
// it.
at::Tensor expected_shares(at::Tensor scale, const at::Tensor& bias);

// ln p of each entry, without derivatives, from mu, theta and pi; all tensors of one shape and type, on the CPU.
at::Tensor log_probability(CountDistribution distribution, const at::Tensor& x, const at::Tensor& mu,
                           const at::Tensor& theta, const at::Tensor& pi);

}  // namespace rscvi
