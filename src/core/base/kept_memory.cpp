#include "core/base/kept_memory.h"

#include <c10/core/CPUAllocator.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <type_traits>
#include <unordered_map>

namespace rscvi {
namespace {

constexpr std::size_t least = std::size_t{1} << 16, most_waiting = std::size_t{1} << 28;
constexpr std::size_t alignment = 64;  // of LibTorch

// Null where the system has no more.
void* new_piece(std::size_t size) {
  void* data = nullptr;
  return posix_memalign(&data, alignment, size) == 0 ? data : nullptr;
}

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
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = waiting_.lower_bound(size);
    if (found != waiting_.end() && found->first - size <= size / 8) {
      void* data = found->second;
      taken_[data] = found->first;
      bytes_waiting_ -= found->first;
      waiting_.erase(found);
      return data;
    }
    void* data = new_piece(size);
    if (data == nullptr) {
      release();
      data = new_piece(size);
    }
    if (data != nullptr) taken_[data] = size;
    return data;
  }

  // Destructors of tensors come here: no exception leaves it.
  void give_back(void* data) noexcept {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto piece = taken_.find(data);
      const std::size_t size = piece == taken_.end() ? 0 : piece->second;
      if (size > 0) taken_.erase(piece);
      if (size > 0 && keeping_ && bytes_waiting_ + size <= most_waiting && put(size, data)) return;
    }
    std::free(data);
  }

  // It goes to the system by somebody else.
  void forget(void* data) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    taken_.erase(data);
  }

  std::size_t bytes_waiting() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return bytes_waiting_;
  }

 private:
  void release() {
    for (const auto& piece : waiting_) std::free(piece.second);
    waiting_.clear();
    bytes_waiting_ = 0;
  }

  bool put(std::size_t size, void* data) noexcept {
    try {
      waiting_.emplace(size, data);
    } catch (const std::bad_alloc&) {
      return false;
    }
    bytes_waiting_ += size;
    return true;
  }

  std::mutex mutex_;
  std::multimap<std::size_t, void*> waiting_;     // by size
  std::unordered_map<void*, std::size_t> taken_;  // and their size
  std::size_t bytes_waiting_ = 0;
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
  // For those who want memory without a storage around it, as LibTorch does for oneDNN's kernels.
  c10::DeleterFnPtr raw_deleter() const override;
  c10::DeleterFnPtr deleter_of_small() const { return of_small_->raw_deleter(); }

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

// Of a piece, or of something small: a bare address does not say which, and either is from the same place.
void to_system(void* data) {
  pieces().forget(data);
  allocator().deleter_of_small()(data);
}

c10::DeleterFnPtr Allocator::raw_deleter() const {
  return deleter_of_small() == nullptr ? nullptr : &to_system;
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

std::size_t KeptMemory::waiting() { return pieces().bytes_waiting(); }

}  // namespace rscvi
