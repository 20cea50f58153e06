// Pages of memory that nobody uses at present, kept for the next large result: to touch fresh pages for the first time
// takes longer than to write to them.
#pragma once

#include <cstddef>

#if defined(__linux__)
#define RSCVI_MAPS_MEMORY 1
#else
#define RSCVI_MAPS_MEMORY 0
#endif

#if RSCVI_MAPS_MEMORY

#include <map>

namespace rscvi::glue {

// Memory from the system.
struct Pages {
  char* start = nullptr;  // nullptr: none
  std::size_t n_bytes = 0;
};

// Fresh pages for so many bytes, of 2 MB each where the system has them; none if it has no memory.
Pages map_pages(std::size_t n_bytes);
void unmap(const Pages& pages);

// Of one thread.
class SparePages {
 public:
  explicit SparePages(std::size_t most_bytes) : most_bytes_(most_bytes) {}  // whole pages
  ~SparePages() { drop_all(); }
  SparePages(const SparePages&) = delete;
  SparePages& operator=(const SparePages&) = delete;

  // Enough for so many bytes, from the smallest stretch that suffices; none if no stretch does.
  Pages take(std::size_t n_bytes);

  // From map_pages() or take(). The system may still take them when it is short of memory (MADV_FREE); they hold
  // anything when they are taken. What is too much goes back to the system: `pages` that are more than most_bytes by
  // themselves, or of all that there are then the shortest stretches.
  void add(Pages pages);

  void drop_all();
  std::size_t n_bytes() const;

 private:
  using Stretches = std::map<char*, std::size_t>;  // bytes by start; none touches another
  void join(Pages pages);
  void shorten();
  void drop(Stretches::iterator stretch);

  std::size_t most_bytes_;
  Stretches stretches_;
};

}  // namespace rscvi::glue

#endif
