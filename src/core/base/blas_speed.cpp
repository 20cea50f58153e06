#include "core/base/blas_speed.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>

#include "core/base/blas_library.h"
#include "core/base/matrix_product.h"

namespace rscvi {

double matrix_product_gflops() {
  constexpr std::int64_t rows = 128, inner = 256, columns = 512;
  constexpr int tries = 3;
  const at::NoGradGuard no_grad;
  const at::Tensor a = at::ones({rows, inner}), b = at::ones({inner, columns});
  double best = 1e9;
  for (int k = 0; k < tries; ++k) {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor product = matrix_product(a, b);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return 2e-9 * rows * inner * columns / best;
}

std::string faster_openblas_kernels(const std::string& in_use, InstructionSet best) {
  // Those for processors without AVX2 and FMA3.
  static const std::set<std::string> old = {
      "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Core2", "Penryn", "Dunnington", "Atom", "Nano",
      "Nehalem", "Sandybridge", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona", "Bobcat", "Bulldozer"};
  if (old.count(in_use) == 0) return "";
  switch (best) {
    case InstructionSet::avx512: return "SkylakeX";
    case InstructionSet::avx2: return "Haswell";
    case InstructionSet::portable: break;
  }
  return "";
}

std::string faster_openblas_kernels() {
  if (std::getenv("OPENBLAS_CORETYPE") != nullptr) return "";  // chosen by hand
  const auto config = blas_function<char* (*)()>("openblas_get_config");
  const auto in_use = blas_function<char* (*)()>("openblas_get_corename");
  if (config == nullptr || in_use == nullptr) return "";
  // Built for one processor alone, it has no other kernels.
  if (std::string(config()).find("DYNAMIC_ARCH") == std::string::npos) return "";
  return faster_openblas_kernels(in_use(), best_instruction_set());
}

}  // namespace rscvi
