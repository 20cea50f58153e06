// The threads that LibTorch and the BLAS under it compute with.
#pragma once

namespace rscvi {

// `torch`: threads of LibTorch's operators, and of loops over at::parallel_for.
// `blas`: threads of the BLAS where it keeps count (OpenBLAS; MKL as the system's BLAS); 0 where it does not.
struct Threads {
  int torch = 1, blas = 0;
};

// The numbers in force for the calling thread.
Threads current_threads();

// Puts back what current_threads() gave.
void set_threads(const Threads& threads);

// From now on, LibTorch and its BLAS compute with `n` >= 1 threads.
//
// A BLAS that runs threads of its own beside OpenMP's (OpenBLAS built with pthreads) gets one: the two kinds would wait
// for each other, busily, on the same processors, and a product inside of a parallel loop would start all of them.
// There are none in the core: OpenBLAS 0.3.34 on OpenMP's threads would wait for ever (its issue 5947).
void compute_with_threads(int n);

}  // namespace rscvi
