// Functions of the library that LibTorch's matrix products come from, by their names.
#pragma once

namespace rscvi {

// Null: it has none of that name, is inside of LibTorch (MKL), or is not known. R may have loaded another BLAS for
// itself, which is not looked at.
void* blas_symbol(const char* name);

template <class Function>
Function blas_function(const char* name) {
  return reinterpret_cast<Function>(blas_symbol(name));
}

}  // namespace rscvi
