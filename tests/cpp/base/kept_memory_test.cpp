#include "core/base/kept_memory.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>

#include <thread>
#include <vector>

#include "test.h"

using namespace rscvi;

namespace {

constexpr std::int64_t n = 300000;  // floats: more than a megabyte

const void* address_of_new() { return at::empty({n}, at::kFloat).data_ptr(); }

}  // namespace

TEST_CASE("kept memory: a tensor takes the piece that another gave back, while there is a scope") {
  {
    const KeptMemory outer;
    const void* first = address_of_new();
    CHECK(KeptMemory::waiting() >= n * sizeof(float));
    {
      const KeptMemory inner;
      CHECK(address_of_new() == first);
    }
    CHECK(address_of_new() == first);
    // A piece that is far too large is left for others, and so is one that is too small.
    CHECK(at::empty({n / 2}, at::kFloat).data_ptr() != first);
    CHECK(at::empty({2 * n}, at::kFloat).data_ptr() != first);
    const at::Tensor held = at::empty({n}, at::kFloat);
    CHECK(held.data_ptr() == first);
    CHECK(address_of_new() != first);
    // Of less than 64 KiB nothing is kept.
    const std::size_t before = KeptMemory::waiting();
    at::empty({100}, at::kFloat);
    CHECK(KeptMemory::waiting() == before);
  }
  CHECK(KeptMemory::waiting() == 0);
}

TEST_CASE("kept memory: memory without a tensor around it, as oneDNN's kernels take it, can be given back") {
  c10::Allocator* before = c10::GetCPUAllocator();
  void* of_before = before->raw_allocate(n);
  {
    const KeptMemory scope;
    c10::Allocator* ours = c10::GetCPUAllocator();
    REQUIRE(ours != before);
    ours->raw_deallocate(of_before);
    const std::size_t waiting = KeptMemory::waiting();
    ours->raw_deallocate(ours->raw_allocate(100));
    CHECK(KeptMemory::waiting() == waiting);
    ours->raw_deallocate(ours->raw_allocate(n));
    CHECK(KeptMemory::waiting() == waiting);
    // A piece that a tensor left serves here too, and does not come back.
    address_of_new();
    CHECK(KeptMemory::waiting() > waiting);
    ours->raw_deallocate(ours->raw_allocate(n * sizeof(float)));
    CHECK(KeptMemory::waiting() == waiting);
  }
  CHECK(KeptMemory::waiting() == 0);
}

TEST_CASE("kept memory: no more than its limit waits") {
  const KeptMemory scope;
  std::vector<at::Tensor> many;
  for (int k = 0; k < 5; ++k) many.push_back(at::empty({std::int64_t{1} << 26}, at::kByte));
  many.clear();
  CHECK(KeptMemory::waiting() <= std::size_t{1} << 28);
  CHECK(KeptMemory::waiting() >= std::size_t{3} << 26);
}

TEST_CASE("kept memory: tensors outlive the scope, grow, and are given back anywhere") {
  at::Tensor kept;
  {
    const KeptMemory scope;
    kept = at::full({n}, 2.5, at::kFloat);
    CHECK(reinterpret_cast<std::uintptr_t>(kept.data_ptr()) % 64 == 0);
  }
  CHECK(kept.sum().item<double>() == 2.5 * n);
  kept.resize_({2 * n});
  CHECK(kept[n - 1].item<float>() == 2.5f);
  std::thread([&kept] { kept.reset(); }).join();
  CHECK(KeptMemory::waiting() == 0);
  CHECK(at::empty({0}, at::kFloat).numel() == 0);
}

TEST_CASE("kept memory: threads share it") {
  const KeptMemory scope;
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &right] {
      for (int k = 0; k < 50; ++k) {
        const at::Tensor mine = at::full({n + 20000 * k}, t, at::kFloat);
        right[t] += mine.min().item<float>() == t && mine.max().item<float>() == t;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : right) CHECK(count == 50);
}
