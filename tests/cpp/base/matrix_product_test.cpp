#include "core/base/matrix_product.h"

#if defined(__linux__) && defined(__x86_64__) && defined(_OPENMP)
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#endif

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/instruction_set.h"
#include "core/base/random.h"
#include "core/base/threads.h"
#include "core/base/waiting_signals.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr double rounding = 2e-6;  // of sums of a few hundred products of float, relative to the largest

double error_of(const at::Tensor& product, const at::Tensor& expected) {
  return ((product.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>();
}

// A matrix in every way that it may lie in memory: by rows, by columns, as a part of a larger one by rows and by
// columns, and every other column of one.
std::vector<at::Tensor> layouts_of(const at::Tensor& x) {
  const at::Tensor wide = at::full({x.size(0) + 3, 2 * x.size(1) + 5}, 1e30F);
  const at::Tensor by_rows = wide.clone().narrow(0, 1, x.size(0)).narrow(1, 2, x.size(1));
  const at::Tensor by_columns =
      wide.t().contiguous().t().narrow(0, 1, x.size(0)).narrow(1, 2, x.size(1));
  const at::Tensor spread = wide.clone().narrow(0, 0, x.size(0)).slice(1, 1, 1 + 2 * x.size(1), 2);
  for (at::Tensor part : {by_rows, by_columns, spread}) part.copy_(x);
  return {x, x.t().contiguous().t(), by_rows, by_columns, spread};
}

}  // namespace

TEST_CASE("matrix product: of matrices however they lie in memory, of one row, column or number, too") {
  RandomStream random(1);
  for (const auto& [m, k, n] : std::vector<std::array<std::int64_t, 3>>{
           {1, 1, 1}, {1, 5, 1}, {1, 5, 7}, {6, 1, 7}, {6, 5, 1}, {3, 128, 10}, {128, 10, 65}, {33, 257, 130}}) {
    const at::Tensor left = random.normal({m, k}, c10::kCPU), right = random.normal({k, n}, c10::kCPU);
    const at::Tensor expected = at::mm(left.to(at::kDouble), right.to(at::kDouble));
    const at::Tensor start = random.normal({m, n}, c10::kCPU);
    for (const at::Tensor& a : layouts_of(left)) {
      for (const at::Tensor& b : layouts_of(right)) {
        CHECK(error_of(matrix_product(a, b), expected) < rounding);
        at::Tensor sum = start.clone();
        add_matrix_product(a, b, sum);
        CHECK(error_of(sum, expected + start) < rounding);
      }
    }
  }
  const at::Tensor row = random.normal({1, 9}, c10::kCPU), b = random.normal({9, 4}, c10::kCPU);
  CHECK(error_of(matrix_product(row.expand({5, 9}), b), at::mm(row.expand({5, 9}).to(at::kDouble), b.to(at::kDouble))) <
        rounding);
}

#if defined(__linux__) && defined(__x86_64__) && defined(_OPENMP)

namespace {

// What a handler on a stack of its own saw: how many signals, and how many of them while the stack pointer was not
// within the thread's stack.
struct Seen {
  std::uintptr_t stack_begin = 0, stack_end = 0;
  std::atomic<std::int64_t> n{0}, astray{0};
};
Seen seen;

void look_at_stack_pointer(int, siginfo_t*, void* context) {
  const auto pointer = static_cast<std::uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
  ++seen.n;
  if (pointer < seen.stack_begin || pointer >= seen.stack_end) ++seen.astray;
}

void find_stack() {
  pthread_attr_t attributes;
  void* begin = nullptr;
  std::size_t size = 0;
  REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
  pthread_attr_getstack(&attributes, &begin, &size);
  pthread_attr_destroy(&attributes);
  seen.stack_begin = reinterpret_cast<std::uintptr_t>(begin);
  seen.stack_end = seen.stack_begin + size;
}

// While it lives, signals to the thread that made it are looked at on another stack.
class Lookout {
 public:
  Lookout() : stack_(std::size_t{1} << 16) {
    find_stack();
    stack_t own = {};
    own.ss_sp = stack_.data();
    own.ss_size = stack_.size();
    REQUIRE(sigaltstack(&own, &stack_before_) == 0);
    struct sigaction action = {};
    action.sa_sigaction = look_at_stack_pointer;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    REQUIRE(sigaction(SIGUSR1, &action, &before_) == 0);
  }
  ~Lookout() {
    sigaction(SIGUSR1, &before_, nullptr);
    sigaltstack(&stack_before_, nullptr);
  }

 private:
  std::vector<char> stack_;
  stack_t stack_before_ = {};
  struct sigaction before_ = {};
};

// How many of OpenMP's threads, the calling one left out, could be handed a signal.
int threads_that_take_signals() {
  std::atomic<int> n{0};
#pragma omp parallel
  {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    if (omp_get_thread_num() > 0 && sigismember(&blocked, SIGUSR1) == 0) ++n;
  }
  return n;
}

}  // namespace

TEST_CASE("matrix product: signals wait for it, as oneDNN's kernels use the stack pointer for something else") {
  const Lookout lookout;
  const Threads threads = current_threads();
  const at::Tensor a = at::ones({128, 128}), b = at::ones({128, 600});
  for (const int n : {1, 2, 1, 3}) {
    CAPTURE(n);
    compute_with_threads(n);
    seen.n = seen.astray = 0;
    std::atomic<bool> done{false};
    std::thread sender([&done, receiver = pthread_self()] {
      while (!done) {
        pthread_kill(receiver, SIGUSR1);
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
    });
    for (int k = 0; k < 100000 && seen.n < 200; ++k) matrix_product(a, b);
    done = true;
    sender.join();
    CHECK(seen.n >= 200);
    CHECK(seen.astray == 0);
    if (has_onednn_products() && reaches_threads()) CHECK(threads_that_take_signals() == 0);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    CHECK(sigismember(&blocked, SIGUSR1) == 0);
  }
  set_threads(threads);
}

#endif

TEST_CASE("matrix product: of nothing is nothing, over nothing is zero") {
  CHECK(matrix_product(at::ones({0, 3}), at::ones({3, 2})).sizes() == at::IntArrayRef({0, 2}));
  CHECK(matrix_product(at::ones({2, 3}), at::ones({3, 0})).sizes() == at::IntArrayRef({2, 0}));
  CHECK(same_bits(matrix_product(at::ones({2, 0}), at::ones({0, 3})), at::zeros({2, 3})));
  at::Tensor sum = at::ones({2, 3});
  add_matrix_product(at::ones({2, 0}), at::ones({0, 3}), sum);
  CHECK(same_bits(sum, at::ones({2, 3})));
}

TEST_CASE("matrix product: double stays double, and sizes that do not fit are LibTorch's to refuse") {
  RandomStream random(2);
  const at::Tensor a = random.normal({4, 6}, c10::kCPU).to(at::kDouble), b = a.t().contiguous();
  CHECK(same_bits(matrix_product(a, b), at::mm(a, b)));
  CHECK_THROWS(matrix_product(at::ones({2, 3}), at::ones({2, 3})));
  at::Tensor sum = at::ones({2, 2});
  CHECK_THROWS(add_matrix_product(at::ones({2, 3}), at::ones({3, 3}), sum));
}

#ifdef __linux__
TEST_CASE("matrix product: oneDNN's is found where LibTorch has it beside it") {
  std::ifstream maps("/proc/self/maps");
  bool has_library = false;
  for (std::string line; std::getline(maps, line);) {
    has_library = has_library || line.find("/libdnnl.so") != std::string::npos;
  }
  if (has_library) CHECK(has_onednn_products() == (best_instruction_set() != InstructionSet::portable));
}
#endif
