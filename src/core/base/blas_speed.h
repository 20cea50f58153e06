// Is the linear algebra under LibTorch fast? With the reference BLAS of a bare Debian it is about 40 times slower.
#pragma once

namespace rscvi {

// Speed of a single-precision matrix product of the size that training does, in 1e9 operations a second; the best of
// a few tries, a few milliseconds in all.
double matrix_product_gflops();

}  // namespace rscvi
