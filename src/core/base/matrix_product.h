// Matrix products in single precision on the CPU.
//
// LibTorch's come from the system's BLAS. Where LibTorch has oneDNN beside it, as Debian's has, that is asked instead:
// it makes its kernels for the processor that it runs on, while an OpenBLAS older than the processor may take it for
// one of 2004 (blas_speed.h), a fifth as fast; and it shares OpenMP's threads with LibTorch, which OpenBLAS's own pool
// does not.
#pragma once

#include <ATen/core/Tensor.h>

namespace rscvi {

// True where oneDNN's products are in use: it is there and works, and the processor is one that it has kernels for.
bool has_onednn_products();

// A B, (m, k) x (k, n) -> (m, n). Views that are transposed or narrow are read where they lie, as long as their rows or
// their columns are stretches of memory. On other devices and in other precisions: LibTorch's product. Autograd is the
// caller's (nn/linear.h): nothing is recorded.
at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b);

// out += A B; out: contiguous, (m, n).
void add_matrix_product(const at::Tensor& a, const at::Tensor& b, at::Tensor& out);

}  // namespace rscvi
