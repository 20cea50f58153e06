// Is the linear algebra fast? With the reference BLAS of a bare Debian LibTorch's is about 40 times slower.
#pragma once

#include <string>

#include "core/base/instruction_set.h"

namespace rscvi {

// Speed of matrix_product() of the size that training does, in 1e9 operations a second; the best of a few tries, a few
// milliseconds in all.
double matrix_product_gflops();

// An OpenBLAS that is older than the processor can take it for an ancient one: 0.3.21 (Debian 12) runs Intel's server
// processors of 2023 with the kernels of 2004, at a quarter of their speed. What the environment variable
// OPENBLAS_CORETYPE should then be when a process starts (it is read once); "" where there is nothing to gain: kernels
// that fit, others that were chosen by hand, another BLAS, a LibTorch with MKL.
std::string faster_openblas_kernels();

// The same, of kernels by OpenBLAS's name for them and of what the processor runs.
std::string faster_openblas_kernels(const std::string& in_use, InstructionSet best);

}  // namespace rscvi
