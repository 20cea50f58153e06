#include "core/base/blas_speed.h"

#include <cmath>

#include "test.h"

TEST_CASE("blas speed: a positive number, of a size that machines have") {
  const double gflops = rscvi::matrix_product_gflops();
  CHECK(gflops > 0.01);
  CHECK(gflops < 1e6);
}
