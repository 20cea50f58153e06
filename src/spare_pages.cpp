#include "spare_pages.h"

#if RSCVI_MAPS_MEMORY

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <numeric>

namespace rscvi::glue {
namespace {

std::size_t in_pages(std::size_t n_bytes) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (n_bytes + page - 1) / page * page;
}

template <class Stretch>
bool is_shorter(const Stretch& a, const Stretch& b) {
  return a.second < b.second;
}

}  // namespace

Pages map_pages(std::size_t n_bytes) {
  n_bytes = in_pages(n_bytes);
  void* start = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return {};
#ifdef MADV_HUGEPAGE
  madvise(start, n_bytes, MADV_HUGEPAGE);  // a hint: it may fail
#endif
  return {static_cast<char*>(start), n_bytes};
}

void unmap(const Pages& pages) {
  if (pages.start != nullptr) munmap(pages.start, pages.n_bytes);
}

Pages SparePages::take(std::size_t n_bytes) {
  n_bytes = in_pages(n_bytes);
  auto best = stretches_.end();
  for (auto it = stretches_.begin(); it != stretches_.end(); ++it) {
    if (it->second >= n_bytes && (best == stretches_.end() || is_shorter(*it, *best))) best = it;
  }
  if (best == stretches_.end()) return {};
  best->second -= n_bytes;
  const Pages end = {best->first + best->second, n_bytes};
  if (best->second == 0) stretches_.erase(best);
  return end;
}

void SparePages::add(Pages pages) {
  if (pages.start == nullptr) return;
#ifdef MADV_FREE
  if (pages.n_bytes <= most_bytes_ && madvise(pages.start, pages.n_bytes, MADV_FREE) == 0) {
    try {
      join(pages);
    } catch (const std::bad_alloc&) {
      return unmap(pages);
    }
    return shorten();
  }
#endif
  unmap(pages);
}

void SparePages::drop_all() {
  while (!stretches_.empty()) drop(stretches_.begin());
}

std::size_t SparePages::n_bytes() const {
  return std::accumulate(stretches_.begin(), stretches_.end(), std::size_t{0},
                         [](std::size_t sum, const Stretches::value_type& stretch) { return sum + stretch.second; });
}

// What lies side by side is one stretch, as it was before a part of it was taken.
void SparePages::join(Pages pages) {
  auto joined = stretches_.emplace(pages.start, pages.n_bytes).first;
  if (joined != stretches_.begin()) {
    const auto before = std::prev(joined);
    if (before->first + before->second == pages.start) {
      before->second += pages.n_bytes;
      stretches_.erase(joined);
      joined = before;
    }
  }
  const auto after = std::next(joined);
  if (after != stretches_.end() && joined->first + joined->second == after->first) {
    joined->second += after->second;
    stretches_.erase(after);
  }
}

// The shortest stretches, or a part of one, go back to the system where there are too many pages.
void SparePages::shorten() {
  for (std::size_t now = n_bytes(); now > most_bytes_; now = n_bytes()) {
    const std::size_t too_much = now - most_bytes_;
    const auto shortest = std::min_element(stretches_.begin(), stretches_.end(), is_shorter<Stretches::value_type>);
    if (shortest->second <= too_much) {
      drop(shortest);
    } else {
      shortest->second -= too_much;
      unmap({shortest->first + shortest->second, too_much});
    }
  }
}

void SparePages::drop(Stretches::iterator stretch) {
  unmap({stretch->first, stretch->second});
  stretches_.erase(stretch);
}

}  // namespace rscvi::glue

#endif
