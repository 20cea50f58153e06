#include "core/differential/all_pairs.h"

#include <algorithm>
#include <cmath>

#include "core/differential/pair_median.h"
#include "core/differential/pair_order.h"

namespace rscvi {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

bool is_finite(const SortedSides& sides) {
  return std::isfinite(sides.x.front()) && std::isfinite(sides.x.back()) && std::isfinite(sides.y.front()) &&
         std::isfinite(sides.y.back());
}

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments(const std::vector<double>& values) {
  const std::size_t count = values.size();
  const double* value = values.data();
  const auto n = static_cast<double>(count);
  double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t k = 0; k < count; ++k) sum += value[k];
  const double mean = sum / n;
#pragma omp simd reduction(+ : squares)
  for (std::size_t k = 0; k < count; ++k) squares += (value[k] - mean) * (value[k] - mean);
  return {mean, squares / n};
}

// P(x > y), P(r >= delta), P(r <= -delta), P(|r| >= delta) of one stratum.
struct Shares {
  double above = 0, up = 0, down = 0, outside = 0;
};

// Number of pairs whose difference satisfies `holds`, a property that stays true as r falls.
template <class Holds>
double share_that(const SortedSides& sides, Holds&& holds) {
  const std::size_t nx = sides.x.size(), ny = sides.y.size();
  std::int64_t count = 0;
  for (std::size_t i = 0, j = 0; i < nx && j < ny;) {
    if (holds(sides.x[i] - sides.y[j])) {
      count += static_cast<std::int64_t>(ny - j);
      ++i;
    } else {
      ++j;
    }
  }
  return static_cast<double>(count) / n_pairs(sides);
}

// Differences of two equal infinities.
double share_of_nan(const SortedSides& sides) {
  double found = 0;
  for (const double value : {-infinity, infinity}) {
    const auto count = [value](const std::vector<double>& side) {
      const auto range = std::equal_range(side.begin(), side.end(), value);
      return static_cast<double>(range.second - range.first);
    };
    found += count(sides.x) * count(sides.y);
  }
  return found / n_pairs(sides);
}

Shares shares_with_infinities(const SortedSides& sides, double delta) {
  Shares out;
  out.above = static_cast<double>(count_above(sides)) / n_pairs(sides);
  // r >= delta is what is left over of r < delta; a NaN, from two infinities, satisfies neither.
  out.up = 1.0 - share_that(sides, [delta](double r) { return r < delta || std::isnan(r); });
  out.down = share_that(sides, [delta](double r) { return r <= -delta; });
  // For delta = 0 a difference of 0 is in both regions, but outside once; a NaN is in neither.
  out.outside = delta > 0 ? out.up + out.down : 1.0 - share_of_nan(sides);
  return out;
}

// Of all strata together, and points of the distribution function near the median, found on the same walk.
struct FiniteShares {
  Shares shares;
  std::vector<KnownShare> known;
};

FiniteShares finite_shares(const std::vector<PairCounter>& counters, double delta, const MedianGuess& guess) {
  FiniteShares out{{}, {{guess.low, 0}, {guess.high, 0}}};
  const double below_delta = std::nextafter(delta, -infinity);
  const auto n = static_cast<double>(counters.size());
  for (const PairCounter& counter : counters) {
    const double pairs = counter.n_pairs();
    const auto counts = counter.count_at_most<5>({0, below_delta, -delta, guess.low, guess.high});
    const auto share = [&](int k) { return static_cast<double>(counts[k]) / pairs; };
    // x > y where x - y > 0: a difference of unequal doubles is not 0. In whole numbers, as share_above() has it.
    out.shares.above += (pairs - static_cast<double>(counts[0])) / pairs;
    out.shares.up += (1.0 - share(1)) / n;
    out.shares.down += share(2) / n;
    out.shares.outside += (delta > 0 ? 1.0 - share(1) + share(2) : 1.0) / n;
    out.known[0].share += share(3) / n;
    out.known[1].share += share(4) / n;
  }
  out.shares.above /= n;
  return out;
}

// What needs no walk along the pairs: mean, std, min, max.
void add_moments(const std::vector<SortedSides>& strata, PairContrast& out) {
  const auto n = static_cast<double>(strata.size());
  std::vector<Moments> of_stratum;
  out.mean = 0;
  for (const SortedSides& sides : strata) {
    const Moments x = moments(sides.x), y = moments(sides.y);
    of_stratum.push_back({x.mean - y.mean, x.variance + y.variance});
    out.mean += of_stratum.back().mean / n;
  }
  double variance = 0;  // within strata and between them: no difference of large squares
  for (const Moments& m : of_stratum) variance += (m.variance + (m.mean - out.mean) * (m.mean - out.mean)) / n;
  out.std = std::sqrt(variance);
}

void set_shares(const Shares& shares, PairContrast& out) {
  out.above = shares.above;
  out.up = shares.up;
  out.down = shares.down;
  out.outside = shares.outside;
}

}  // namespace

double share_above_all_pairs(const std::vector<SortedSides>& strata) {
  double sum = 0;
  for (const auto& sides : strata) sum += static_cast<double>(count_above(sides)) / n_pairs(sides);
  return sum / static_cast<double>(strata.size());
}

PairContrast contrast_all_pairs(const std::vector<SortedSides>& strata, double delta) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  PairContrast out;
  out.min = infinity;
  out.max = -infinity;
  for (const SortedSides& sides : strata) {
    out.min = std::min(out.min, sides.x.front() - sides.y.back());
    out.max = std::max(out.max, sides.x.back() - sides.y.front());
  }
  if (!std::all_of(strata.begin(), strata.end(), is_finite)) {
    const auto n = static_cast<double>(strata.size());
    Shares sum;
    for (const SortedSides& sides : strata) {
      const Shares one = shares_with_infinities(sides, delta);
      sum = {sum.above + one.above, sum.up + one.up, sum.down + one.down, sum.outside + one.outside};
    }
    set_shares({sum.above / n, sum.up / n, sum.down / n, sum.outside / n}, out);
    out.mean = out.std = out.median = nan;
    return out;
  }
  const std::vector<PairCounter> counters(strata.begin(), strata.end());
  const FiniteShares found = finite_shares(counters, delta, guess_median(strata));
  set_shares(found.shares, out);
  add_moments(strata, out);
  out.median = median_of_pairs(strata, counters, found.known);
  return out;
}

}  // namespace rscvi
