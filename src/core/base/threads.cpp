#include "core/base/threads.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace rscvi {

namespace {

// How a BLAS that keeps count of its own is told; pointers are null where it does not, or cannot be told.
struct BlasThreads {
  int (*get)() = nullptr;
  void (*set)(int) = nullptr;
  bool own_pool = false;  // threads of its own, not OpenMP's
};

#if defined(__unix__) || defined(__APPLE__)
// The library that LibTorch's matrix products come from: R may have loaded another one for itself. Null: not known.
void* blas_library() {
  void* product = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info where;
  if (product == nullptr || dladdr(product, &where) == 0 || where.dli_fname == nullptr) return nullptr;
  return dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

template <class Function>
Function symbol(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

BlasThreads find_blas_threads() {
  BlasThreads blas;
  // A LibTorch with MKL inside tells it itself, and the system's BLAS is not what it calls.
  void* library = at::hasMKL() ? nullptr : blas_library();
  if (library == nullptr) return blas;
  if (const auto parallel = symbol<int (*)()>(library, "openblas_get_parallel")) {
    constexpr int pthreads = 1;  // 0: none, 2: OpenMP
    blas.own_pool = parallel() == pthreads;
    blas.get = symbol<int (*)()>(library, "openblas_get_num_threads");
    blas.set = symbol<void (*)(int)>(library, "openblas_set_num_threads");
  } else {
    blas.get = symbol<int (*)()>(library, "MKL_Get_Max_Threads");
    blas.set = symbol<void (*)(int)>(library, "MKL_Set_Num_Threads");
  }
  return blas.get != nullptr && blas.set != nullptr ? blas : BlasThreads();
}
#else
BlasThreads find_blas_threads() { return {}; }
#endif

const BlasThreads& blas_threads() {
  static const BlasThreads blas = find_blas_threads();
  return blas;
}

}  // namespace

Threads current_threads() {
  const BlasThreads& blas = blas_threads();
  return {at::get_num_threads(), blas.get == nullptr ? 0 : blas.get()};
}

void set_threads(const Threads& threads) {
  const BlasThreads& blas = blas_threads();
  if (blas.set != nullptr && threads.blas > 0 && blas.get() != threads.blas) blas.set(threads.blas);
  // After the BLAS: one that shares OpenMP's threads sets OpenMP's number, too.
  if (at::get_num_threads() != threads.torch) at::set_num_threads(threads.torch);
}

void compute_with_threads(int n) { set_threads({n, blas_threads().own_pool ? 1 : n}); }

}  // namespace rscvi
