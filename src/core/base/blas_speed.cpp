#include "core/base/blas_speed.h"

#include <ATen/ATen.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <set>

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

std::string faster_openblas_kernels(const std::string& in_use, InstructionSet best) {
  // Those without AVX2.
  static const std::set<std::string> old = {
      "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Core2", "Penryn", "Dunnington", "Atom", "Nano",
      "Nehalem", "Sandybridge", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona", "Bobcat"};
  if (old.count(in_use) == 0) return "";
  switch (best) {
    case InstructionSet::avx512: return "SkylakeX";
    case InstructionSet::avx2: return "Haswell";
    case InstructionSet::portable: break;
  }
  return "";
}

std::string faster_openblas_kernels() {
  if (at::hasMKL()) return "";
  using Name = char* (*)();
  const auto name = reinterpret_cast<Name>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  return name == nullptr ? "" : faster_openblas_kernels(name(), best_instruction_set());
}

}  // namespace rscvi
