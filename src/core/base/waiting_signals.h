// Signals that wait until a piece of work is done.
//
// The single precision products of oneDNN up to 3.11.1 use the stack pointer for an address in the heap (its issue
// 4845): a handler that runs meanwhile, of Ctrl-C, of a profiler, of a child process that ended, would put its frame
// there, and later some malloc() fails or a number is another.
#pragma once

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#endif

namespace rscvi {

// While one lives, signals to this thread wait, but for those of faults. Threads that are started meanwhile never get
// any. On Windows, nothing is done.
class WaitingSignals {
 public:
  WaitingSignals();
  ~WaitingSignals();
  WaitingSignals(const WaitingSignals&) = delete;
  WaitingSignals& operator=(const WaitingSignals&) = delete;

#if defined(__unix__) || defined(__APPLE__)

 private:
  sigset_t before_;
#endif
};

// Whether the next function reaches the threads that LibTorch and oneDNN compute with: rscvi is compiled with OpenMP,
// and with the same one. Found out once.
bool reaches_threads();

// OpenMP's other threads of the next parallel region, if there are any, get no signals from now on: while R's own
// thread lets them wait, they would be handed those of the process.
void keep_signals_from_threads();

}  // namespace rscvi
