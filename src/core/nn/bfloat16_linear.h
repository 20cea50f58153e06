// The products of a linear layer in bfloat16 (base/precision.h).
#pragma once

#include <ATen/core/Tensor.h>

namespace rscvi {

// True within a scope that asks for it, where the processor is good at it and the product is so large that rounding the
// matrices is little beside it.
bool uses_bfloat16(const at::Tensor& x, const at::Tensor& weight);

// x W', (B, n_out), of a float x (B, n_in) and weight (n_out, n_in), which are rounded, as is what comes out; and so
// are both gradients. For training: it is recorded by autograd.
at::Tensor bfloat16_linear(const at::Tensor& x, const at::Tensor& weight);

}  // namespace rscvi
