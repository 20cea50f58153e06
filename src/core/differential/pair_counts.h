// Counts of pairs by their difference, without forming the pairs.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/differential/all_pairs.h"

namespace rscvi {

inline double n_pairs(const SortedSides& sides) {
  return static_cast<double>(sides.x.size()) * static_cast<double>(sides.y.size());
}

// Two sorted sides of finite samples.
class PairCounter {
 public:
  explicit PairCounter(const SortedSides& sides) : x_(sides.x), y_(sides.y) {
    // Behind the last x every difference is too large, behind the last y none is: a walk along both ends by itself.
    x_.push_back(std::numeric_limits<double>::infinity());
    y_.push_back(std::numeric_limits<double>::infinity());
  }

  double n_pairs() const { return static_cast<double>(x_.size() - 1) * static_cast<double>(y_.size() - 1); }

  // For each limit the number of pairs with x - y <= limit. For a fixed x the computed difference falls as y rises, and
  // for a fixed y it rises with x; rounding keeps both, so the first y within the limit moves up with x, and the walk
  // sees exactly what a loop over all pairs would. Each step of a walk waits for the one before it: those of several
  // limits side by side take hardly longer than one.
  template <std::size_t K>
  std::array<std::int64_t, K> count_at_most(const std::array<double, K>& limits) const {
    const double *x = x_.data(), *y = y_.data();
    const std::size_t ny = y_.size() - 1, n_steps = x_.size() - 1 + ny;
    std::array<std::size_t, K> i{}, j{};
    std::array<std::int64_t, K> count{};
    for (std::size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 8  // so that all of them stay in registers
      for (std::size_t k = 0; k < K; ++k) {
        // Without a branch, which no processor could predict.
        const std::size_t within = x[i[k]] - y[j[k]] <= limits[k];
        count[k] += static_cast<std::int64_t>((ny - j[k]) & (std::size_t{0} - within));
        i[k] += within;
        j[k] += 1 - within;
      }
    }
    return count;
  }

 private:
  std::vector<double> x_, y_;
};

}  // namespace rscvi
