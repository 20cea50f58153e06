#include "core/base/threads.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#if defined(__linux__)
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "core/base/blas_library.h"
#include "core/base/matrix_product.h"
#include "test.h"

using namespace rscvi;

namespace {

// Puts the process's threads back when a test ends.
struct Restored {
  Threads before = current_threads();
  ~Restored() { set_threads(before); }
};

#ifdef __linux__
std::set<std::string> threads_of_process() {
  std::set<std::string> ids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ids.insert(task.path().filename().string());
  }
  return ids;
}
#endif

}  // namespace

TEST_CASE("threads: LibTorch and its BLAS have the number set, and get back the one they had") {
  const Restored restored;
  for (const int n : {2, 1, 2}) {
    compute_with_threads(n);
    CHECK(at::get_num_threads() == n);
    CHECK(current_threads().torch == n);
    CHECK(current_threads().blas <= n);
  }
  const Threads two = current_threads();
  compute_with_threads(1);
  CHECK(current_threads().blas <= 1);
  set_threads(two);
  CHECK(current_threads().torch == 2);
  CHECK(current_threads().blas == two.blas);
}

TEST_CASE("threads: matrix products agree to rounding, and are the same bits each time") {
  const Restored restored;
  const at::Tensor a = at::sin(at::arange(128 * 300, at::kFloat)).reshape({128, 300});
  const at::Tensor b = at::cos(at::arange(300 * 257, at::kFloat)).reshape({300, 257});
  compute_with_threads(1);
  const at::Tensor one = at::mm(a, b);
  compute_with_threads(2);
  const at::Tensor two = at::mm(a, b);
  CHECK(at::allclose(one, at::mm(a.to(at::kDouble), b.to(at::kDouble)).to(at::kFloat), 1e-5, 1e-4));
  CHECK(at::allclose(one, two, 1e-5, 1e-5));
  CHECK(at::equal(two, at::mm(a, b)));
  compute_with_threads(1);
  CHECK(at::equal(one, at::mm(a, b)));
}

// OpenBLAS 0.3.34 on OpenMP's threads, once it was told how many: its issue 5947. The core makes no such product.
bool waits_for_ever_in_loops() {
  const auto config = blas_function<const char* (*)()>("openblas_get_config");
  const auto parallel = blas_function<int (*)()>("openblas_get_parallel");
  constexpr int openmp = 2;
  return config != nullptr && parallel != nullptr && parallel() == openmp &&
         std::string(config()).find("OpenBLAS 0.3.34") != std::string::npos;
}

TEST_CASE("threads: products inside of a parallel loop start no threads, and have the bits of one thread") {
  if (waits_for_ever_in_loops()) {
    MESSAGE("not run: this OpenBLAS would wait for ever");
    return;
  }
  const Restored restored;
  const at::Tensor a = at::sin(at::arange(256 * 300, at::kFloat)).reshape({256, 300});
  compute_with_threads(1);
  const at::Tensor expected = at::mm(a, a.t());
  compute_with_threads(2);
  at::parallel_for(0, 2, 1, [](std::int64_t, std::int64_t) {});  // the loop's own threads are there from now on
#ifdef __linux__
  const std::set<std::string> before = threads_of_process();
#endif
  std::vector<at::Tensor> products(2);
  at::parallel_for(0, 2, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) products[k] = at::mm(a, a.t());
  });
#ifdef __linux__
  CHECK(threads_of_process() == before);
#endif
  for (const at::Tensor& product : products) CHECK(at::equal(product, expected));
}

#if defined(__linux__)

// The threads of the parent are not there in the child: whoever waits for them waits for ever.
TEST_CASE("threads: a forked child goes down to one, and multiplies") {
  const Restored restored;
  compute_with_threads(2);
  const at::Tensor a = at::ones({128, 128});
  matrix_product(a, a);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    compute_with_threads(1);
    _exit(matrix_product(a, a).data_ptr<float>()[0] == 128 ? 0 : 1);
  }
  int status = -1;
  pid_t ended = 0;
  for (int k = 0; k < 300 && ended == 0; ++k) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ended = waitpid(child, &status, WNOHANG);
  }
  if (ended == 0) kill(child, SIGKILL);
  CHECK(ended == child);
  CHECK(status == 0);
}

#endif
