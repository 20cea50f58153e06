#include "core/base/blas_speed.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

namespace rscvi {

double matrix_product_gflops() {
  constexpr std::int64_t rows = 128, inner = 256, columns = 512;
  constexpr int tries = 3;
  const at::NoGradGuard no_grad;
  const at::Tensor a = at::ones({rows, inner}), b = at::ones({inner, columns});
  double best = 1e9;
  for (int k = 0; k < tries; ++k) {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor product = at::mm(a, b);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return 2e-9 * rows * inner * columns / best;
}

}  // namespace rscvi
