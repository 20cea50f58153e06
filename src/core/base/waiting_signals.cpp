#include "core/base/waiting_signals.h"

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

// Each time: OpenMP ends threads that a parallel region has no use for, and starts others.
void keep_from_other_threads() {
#ifdef _OPENMP
  if (omp_in_parallel() != 0 || omp_get_max_threads() == 1) return;
  const sigset_t& signals = all_but_faults();
#pragma omp parallel
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
#endif
}

}  // namespace

WaitingSignals::WaitingSignals() {
  pthread_sigmask(SIG_BLOCK, &all_but_faults(), &before_);
  keep_from_other_threads();
}

WaitingSignals::~WaitingSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

#else

WaitingSignals::WaitingSignals() {}
WaitingSignals::~WaitingSignals() {}

#endif

}  // namespace rscvi
