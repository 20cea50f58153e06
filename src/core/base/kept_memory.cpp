#include "core/base/kept_memory.h"

#include <c10/core/CPUAllocator.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <type_traits>

namespace rscvi {
namespace {

constexpr std::size_t least = std::size_t{1} << 16, most_waiting = std::size_t{1} << 28;
constexpr std::size_t alignment = 64;  // of LibTorch, and room for a piece's size in front of it

std::size_t& size_of(void* data) { return *reinterpret_cast<std::size_t*>(static_cast<char*>(data) - alignment); }

// Null where the system has no more.
void* new_piece(std::size_t size) {
  void* start = nullptr;
  if (posix_memalign(&start, alignment, size + alignment) != 0) return nullptr;
  void* data = static_cast<char*>(start) + alignment;
  size_of(data) = size;
  return data;
}

void to_system(void* data) { std::free(static_cast<char*>(data) - alignment); }

class Pieces {
 public:
  // From now on, or no longer: what waits goes to the system then.
  void keep(bool on) {
    const std::lock_guard<std::mutex> lock(mutex_);
    keeping_ = on;
    if (!on) release();
  }

  // A piece that is larger than asked for by an eighth at most is as good. Null where the system has no more.
  void* take(std::size_t n) {
    const std::size_t size = (n + least - 1) / least * least;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = by_size_.lower_bound(size);
      if (found != by_size_.end() && found->first - size <= size / 8) {
        void* data = found->second;
        waiting_ -= found->first;
        by_size_.erase(found);
        return data;
      }
    }
    if (void* data = new_piece(size)) return data;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      release();
    }
    return new_piece(size);
  }

  void give_back(void* data) {
    if (data == nullptr) return;
    const std::size_t size = size_of(data);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (keeping_ && waiting_ + size <= most_waiting && put(size, data)) return;
    }
    to_system(data);
  }

  std::size_t waiting() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waiting_;
  }

 private:
  void release() {
    for (const auto& piece : by_size_) to_system(piece.second);
    by_size_.clear();
    waiting_ = 0;
  }

  // Destructors of tensors come here: no exception leaves it.
  bool put(std::size_t size, void* data) noexcept {
    try {
      by_size_.emplace(size, data);
    } catch (const std::bad_alloc&) {
      return false;
    }
    waiting_ += size;
    return true;
  }

  std::mutex mutex_;
  std::multimap<std::size_t, void*> by_size_;
  std::size_t waiting_ = 0;
  bool keeping_ = false;
};

// Never destroyed: tensors may outlive everything.
Pieces& pieces() {
  static auto* all = new Pieces;
  return *all;
}

void give_back(void* data) { pieces().give_back(data); }

// LibTorch's interface has changed: allocate() is const up to 2.2, and copy_data() there since 2.3. Each version
// overrides what it knows.
class Allocator : public c10::Allocator {
 public:
  explicit Allocator(c10::Allocator* of_small) : of_small_(of_small) {}

  c10::DataPtr allocate(std::size_t n) const { return allocated(n); }
  c10::DataPtr allocate(std::size_t n) { return allocated(n); }
  void copy_data(void* to, const void* from, std::size_t n) const { __builtin_memcpy(to, from, n); }

 private:
  c10::DataPtr allocated(std::size_t n) const {
    void* data = n < least ? nullptr : pieces().take(n);
    // That of small ones has an error of its own where there is no more.
    if (data == nullptr) return of_small_->allocate(n);
    return {data, data, &give_back, c10::Device(c10::kCPU)};
  }

  c10::Allocator* of_small_;
};

static_assert(!std::is_abstract<Allocator>::value, "this LibTorch's allocators have further functions");

// One for good, as storages remember who made them. It stands in front of the allocator that was there at first.
Allocator& allocator() {
  static auto* one = new Allocator(c10::GetCPUAllocator());
  return *one;
}

struct Scopes {
  std::mutex mutex;
  int n = 0;
  c10::Allocator* before = nullptr;
};

Scopes& scopes() {
  static auto* all = new Scopes;
  return *all;
}

}  // namespace

KeptMemory::KeptMemory() {
  const std::lock_guard<std::mutex> lock(scopes().mutex);
  Allocator& ours = allocator();
  if (scopes().n++ > 0) return;
  pieces().keep(true);
  scopes().before = c10::GetCPUAllocator();
  c10::SetCPUAllocator(&ours);
}

KeptMemory::~KeptMemory() {
  const std::lock_guard<std::mutex> lock(scopes().mutex);
  if (--scopes().n > 0) return;
  c10::SetCPUAllocator(scopes().before);
  pieces().keep(false);
}

std::size_t KeptMemory::waiting() { return pieces().waiting(); }

}  // namespace rscvi
