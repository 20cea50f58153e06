// The slow way to everything that core/differential says of all pairs: form them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "core/differential/all_pairs.h"
#include "test.h"

namespace rscvi::test {

struct WeightedPair {
  double x, y, weight;
  double r() const { return x - y; }
};

// Strata weigh the same, and within a stratum its pairs.
inline std::vector<WeightedPair> form_pairs(const std::vector<SortedSides>& strata) {
  std::vector<WeightedPair> pairs;
  for (const SortedSides& sides : strata) {
    const double n = static_cast<double>(sides.x.size()) * static_cast<double>(sides.y.size());
    for (const double x : sides.x) {
      for (const double y : sides.y) pairs.push_back({x, y, 1 / n / static_cast<double>(strata.size())});
    }
  }
  return pairs;
}

template <class Holds>
double share(const std::vector<WeightedPair>& pairs, Holds&& holds) {
  long double sum = 0;  // of a million small weights
  for (const WeightedPair& pair : pairs) sum += holds(pair) ? pair.weight : 0;
  return static_cast<double>(sum);
}

// Half way between the first value at which the running weight reaches 1/2 and the first at which it exceeds it.
inline double median_of(std::vector<WeightedPair> pairs) {
  std::sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.r() < b.r(); });
  constexpr double slack = 1e-12;
  long double reached = 0;
  double lower = std::numeric_limits<double>::quiet_NaN();
  for (const WeightedPair& pair : pairs) {
    reached += pair.weight;
    if (std::isnan(lower) && reached > 0.5 - slack) lower = pair.r();
    if (reached > 0.5 + slack) return (lower + pair.r()) / 2;
  }
  return lower;
}

inline PairContrast contrast_by_hand(const std::vector<SortedSides>& strata, double delta) {
  const std::vector<WeightedPair> pairs = form_pairs(strata);
  PairContrast out;
  out.above = share(pairs, [](const auto& p) { return p.x > p.y; });
  out.up = share(pairs, [delta](const auto& p) { return p.r() >= delta; });
  out.down = share(pairs, [delta](const auto& p) { return p.r() <= -delta; });
  out.outside = share(pairs, [delta](const auto& p) { return std::abs(p.r()) >= delta; });
  out.min = out.max = pairs.front().r();
  long double mean = 0, variance = 0;
  for (const WeightedPair& p : pairs) {
    mean += p.weight * static_cast<long double>(p.r());
    out.min = std::min(out.min, p.r());
    out.max = std::max(out.max, p.r());
  }
  for (const WeightedPair& p : pairs) variance += p.weight * (p.r() - mean) * (p.r() - mean);
  out.mean = static_cast<double>(mean);
  out.std = static_cast<double>(std::sqrt(variance));
  out.median = median_of(pairs);
  return out;
}

inline double largest_difference(const PairContrast& a, const PairContrast& b) {
  double worst = 0;
  for (const double d : {a.above - b.above, a.up - b.up, a.down - b.down, a.outside - b.outside, a.mean - b.mean,
                         a.std - b.std, a.median - b.median, a.min - b.min, a.max - b.max}) {
    worst = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(worst, std::abs(d));
  }
  return worst;
}

// n sorted draws; with a step they are multiples of it, so that many are equal.
inline std::vector<double> sorted_draws(std::size_t n, double mean, double step, std::mt19937_64& engine) {
  std::normal_distribution<double> draw(mean, 1);
  std::vector<double> values(n);
  for (double& v : values) {
    v = draw(engine);
    if (step > 0) v = step * std::round(v / step);
  }
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace rscvi::test
