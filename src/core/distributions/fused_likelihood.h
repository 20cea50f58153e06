// The log-likelihood of counts.h in one fused pass on the CPU, as autograd sees it.
#pragma once

#include "core/distributions/counts.h"

namespace rscvi {

// Float or double. Gradients can be asked for once: they are made in the forward pass, and handed over in the backward
// one.
at::Tensor fused_log_likelihood(CountDistribution distribution, const CellMatrix& x, const CountLogits& logits);

// Softmax of logits + bias, (N, G) and (G), in place of the logits: float32, contiguous, on the CPU.
void softmax_in_place(at::Tensor& logits, const at::Tensor& bias);

// ln of the sum of a row's exponentials, (N, G) to (N, 1). On the CPU, the logits' memory is spent.
at::Tensor log_sum_exp(at::Tensor logits);

// exp(logits - log_normaliser), (N, G) and (N, 1), in place of the logits.
at::Tensor shares_in_place(at::Tensor logits, const at::Tensor& log_normaliser);

}  // namespace rscvi
