#include "core/base/blas_speed.h"

#include <cstdlib>
#include <string>

#include "test.h"

TEST_CASE("blas speed: a positive number, of a size that machines have") {
  const double gflops = rscvi::matrix_product_gflops();
  CHECK(gflops > 0.01);
  CHECK(gflops < 1e6);
}

TEST_CASE("blas speed: OpenBLAS's kernels for old processors are named where the processor runs better ones") {
  using rscvi::InstructionSet;
  CHECK(rscvi::faster_openblas_kernels("Prescott", InstructionSet::avx512) == "SkylakeX");
  CHECK(rscvi::faster_openblas_kernels("Nehalem", InstructionSet::avx2) == "Haswell");
  CHECK(rscvi::faster_openblas_kernels("Prescott", InstructionSet::portable) == "");
  for (const char* fits : {"Haswell", "Zen", "SkylakeX", "Cooperlake", "Sapphirerapids", "neoversen1", ""}) {
    CHECK(rscvi::faster_openblas_kernels(fits, InstructionSet::avx512) == "");
  }
}

TEST_CASE("blas speed: where other kernels are asked for, they are there, and no others are asked for then") {
  const std::string wanted = rscvi::faster_openblas_kernels();
  CHECK((wanted == "" || wanted == "Haswell" || wanted == "SkylakeX"));
  const char* forced = std::getenv("OPENBLAS_CORETYPE");
  if (forced != nullptr && (std::string(forced) == "Haswell" || std::string(forced) == "SkylakeX")) CHECK(wanted == "");
}
