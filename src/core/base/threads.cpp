#include "core/base/threads.h"

#include <ATen/Parallel.h>

#include "core/base/blas_library.h"
#include "core/base/waiting_signals.h"

namespace rscvi {

namespace {

// How a BLAS that keeps count of its own is told; pointers are null where it does not, or cannot be told.
struct BlasThreads {
  int (*get)() = nullptr;
  void (*set)(int) = nullptr;
  bool own_pool = false;  // threads of its own, not OpenMP's
};

BlasThreads find_blas_threads() {
  BlasThreads blas;
  // A LibTorch with MKL inside tells it itself, and the system's BLAS is not what it calls.
  if (const auto parallel = blas_function<int (*)()>("openblas_get_parallel")) {
    constexpr int pthreads = 1;  // 0: none, 2: OpenMP
    blas.own_pool = parallel() == pthreads;
    blas.get = blas_function<int (*)()>("openblas_get_num_threads");
    blas.set = blas_function<void (*)(int)>("openblas_set_num_threads");
  } else {
    blas.get = blas_function<int (*)()>("MKL_Get_Max_Threads");
    blas.set = blas_function<void (*)(int)>("MKL_Set_Num_Threads");
  }
  return blas.get != nullptr && blas.set != nullptr ? blas : BlasThreads();
}

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
  if (at::get_num_threads() == threads.torch) return;
  // LibTorch starts threads of its own here; what they are started with they keep.
  const WaitingSignals scope;
  at::set_num_threads(threads.torch);
}

void compute_with_threads(int n) { set_threads({n, blas_threads().own_pool ? 1 : n}); }

}  // namespace rscvi
