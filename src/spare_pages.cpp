#include "spare_pages.h"

#if RSCVI_MAPS_MEMORY

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
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
  const Pages whole = {best->first, best->second};
  stretches_.erase(best);
  if (whole.n_bytes > n_bytes) stretches_.emplace(whole.start + n_bytes, whole.n_bytes - n_bytes);
  return {whole.start, n_bytes};
}

void SparePages::add(Pages pages) {
  if (pages.start == nullptr) return;
#ifdef MADV_FREE
  if (madvise(pages.start, pages.n_bytes, MADV_FREE) == 0) {
    join(pages);
    while (n_bytes() > most_bytes_) {
      drop(std::min_element(stretches_.begin(), stretches_.end(), is_shorter<Stretches::value_type>));
    }
    return;
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
  const auto next = stretches_.find(pages.start + pages.n_bytes);
  if (next != stretches_.end()) {
    pages.n_bytes += next->second;
    stretches_.erase(next);
  }
  const auto after = stretches_.lower_bound(pages.start);
  if (after != stretches_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == pages.start) {
      before->second += pages.n_bytes;
      return;
    }
  }
  stretches_.emplace(pages.start, pages.n_bytes);
}

void SparePages::drop(Stretches::iterator stretch) {
  unmap({stretch->first, stretch->second});
  stretches_.erase(stretch);
}

}  // namespace rscvi::glue

#endif
