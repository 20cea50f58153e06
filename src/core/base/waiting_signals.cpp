#include "core/base/waiting_signals.h"

#include <ATen/Parallel.h>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#ifdef _OPENMP
#include <omp.h>
#endif

namespace rscvi {

#if defined(__unix__) || defined(__APPLE__)

namespace {

// A fault is of the thread that it happens in, and ends the process where it may not be handled.
const sigset_t& all_but_faults() {
  static const sigset_t set = [] {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&signals, fault);
    return signals;
  }();
  return set;
}

}  // namespace

WaitingSignals::WaitingSignals() { pthread_sigmask(SIG_BLOCK, &all_but_faults(), &before_); }

WaitingSignals::~WaitingSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

// Each time anew: OpenMP ends threads that a parallel region has no use for, and starts others.
void keep_signals_from_threads() {
#ifdef _OPENMP
  if (at::get_num_threads() == 1 || at::in_parallel_region()) return;
  const sigset_t& signals = all_but_faults();
#pragma omp parallel
  if (omp_get_thread_num() > 0) pthread_sigmask(SIG_BLOCK, &signals, nullptr);
#endif
}

#else

WaitingSignals::WaitingSignals() {}
WaitingSignals::~WaitingSignals() {}
void keep_signals_from_threads() {}

#endif

bool reaches_threads() {
#ifdef _OPENMP
  static const bool reaches = [] {
    const int n = omp_get_max_threads();
    at::get_num_threads();  // whatever LibTorch does the first time is done
    omp_set_num_threads(n + 1);
    const bool is_seen = at::get_num_threads() == n + 1;
    omp_set_num_threads(n);
    return is_seen;
  }();
  return reaches;
#else
  return false;
#endif
}

}  // namespace rscvi
