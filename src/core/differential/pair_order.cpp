#include "core/differential/pair_order.h"

#include <algorithm>
#include <array>

namespace rscvi {
namespace {

// A walk along both sides in ascending order: the next y while it is below the next x, else the next x. A y that it
// passes is below this x and all later ones.
struct Walk {
  const double *x, *y;
  std::size_t nx, ny;

  struct Place {
    std::size_t i, j;
  };

  // Without a branch on the samples, which no processor could predict.
  void step(Place& place, std::int64_t& count) const {
    const std::size_t above = y[place.j] < x[place.i];
    count += static_cast<std::int64_t>((nx - place.i) & (std::size_t{0} - above));
    place.j += above;
    place.i += 1 - above;
  }

  // Where the walk is after so many steps: the merge path (Green, McColl & Bader 2012).
  Place after(std::size_t steps) const {
    std::size_t low = steps > ny ? steps - ny : 0, high = std::min(steps, nx);
    while (low < high) {
      const std::size_t i = low + (high - low) / 2;
      if (y[steps - i - 1] < x[i]) high = i;
      else low = i + 1;
    }
    return {low, steps - low};
  }

  bool is_over(const Place& place) const { return place.i >= nx || place.j >= ny; }
};

constexpr std::size_t n_stretches = 4;

}  // namespace

std::int64_t count_above(const SortedSides& sides) {
  const Walk walk = {sides.x.data(), sides.y.data(), sides.x.size(), sides.y.size()};
  std::int64_t total = 0;
  Walk::Place place = {0, 0};
  // A step waits for the one before it. So stretches of the walk are walked side by side, and then what is left.
  const std::size_t stretch = (walk.nx + walk.ny) / (n_stretches + 1);
  const Walk::Place rest = walk.after(n_stretches * stretch);
  if (stretch > 0 && !walk.is_over(rest)) {
    std::array<Walk::Place, n_stretches> places;
    std::array<std::int64_t, n_stretches> counts{};
    for (std::size_t k = 0; k < n_stretches; ++k) places[k] = walk.after(k * stretch);
    for (std::size_t step = 0; step < stretch; ++step) {
#pragma GCC unroll 8  // so that all of them stay in registers
      for (std::size_t k = 0; k < n_stretches; ++k) walk.step(places[k], counts[k]);
    }
    for (const std::int64_t count : counts) total += count;
    place = rest;
  }
  while (!walk.is_over(place)) walk.step(place, total);
  return total;
}

}  // namespace rscvi
