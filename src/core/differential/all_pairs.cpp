#include "core/differential/all_pairs.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace rscvi {
namespace {

// Number of pairs whose difference satisfies `holds`, a property that stays true as r falls. For a fixed x the computed
// r = x - y falls as y rises, and for a fixed y it rises with x; rounding keeps both, so the first y that satisfies it
// moves up with x, and the walk sees exactly what a loop over all pairs would.
template <class Holds>
std::int64_t count_pairs(const SortedSides& sides, Holds&& holds) {
  const std::size_t nx = sides.x.size(), ny = sides.y.size();
  const double *x = sides.x.data(), *y = sides.y.data();
  std::int64_t count = 0;
  // Without a branch on `holds`, which no processor could predict.
  for (std::size_t i = 0, j = 0; i < nx && j < ny;) {
    const bool found = holds(x[i] - y[j]);
    count += found ? static_cast<std::int64_t>(ny - j) : 0;
    i += found;
    j += !found;
  }
  return count;
}

double n_pairs(const SortedSides& sides) {
  return static_cast<double>(sides.x.size()) * static_cast<double>(sides.y.size());
}

// Equal samples compare as equal even where both are minus infinity, whose difference is NaN.
double share_above(const SortedSides& sides) {
  const std::size_t nx = sides.x.size(), ny = sides.y.size();
  const double *x = sides.x.data(), *y = sides.y.data();
  std::int64_t count = 0;
  for (std::size_t i = 0, j = 0; i < nx && j < ny;) {
    const bool above = y[j] < x[i];  // then y[j] is below this x and all later ones
    count += above ? static_cast<std::int64_t>(nx - i) : 0;
    j += above;
    i += !above;
  }
  return static_cast<double>(count) / n_pairs(sides);
}

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments(const std::vector<double>& values) {
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v;
  m.mean /= n;
  for (const double v : values) m.variance += (v - m.mean) * (v - m.mean);
  m.variance /= n;
  return m;
}

// Doubles in an order of integers, so that halving an interval of them always ends.
std::int64_t to_ordered(double value) {
  std::int64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits >= 0 ? bits : std::numeric_limits<std::int64_t>::min() - bits;
}

double from_ordered(std::int64_t key) {
  const std::int64_t bits = key >= 0 ? key : std::numeric_limits<std::int64_t>::min() - key;
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Half way from low to high, counted in doubles between them; low itself if there is none. Without their difference,
// which is beyond the integers' range for an interval such as -2 .. 2.
double middle(double low, double high) {
  const std::int64_t a = to_ordered(low), b = to_ordered(high);
  return from_ordered((a & b) + ((a ^ b) >> 1));
}

// Distribution function of r over strata of equal weight.
double share_at_most(const std::vector<SortedSides>& strata, double v) {
  double sum = 0;
  for (const auto& sides : strata) {
    sum += static_cast<double>(count_pairs(sides, [v](double r) { return r <= v; })) / n_pairs(sides);
  }
  return sum / static_cast<double>(strata.size());
}

// A difference, and the weight that it carries in the distribution.
struct WeightedValue {
  double value, weight;
};

// All differences in (low, high].
std::vector<WeightedValue> differences_between(const std::vector<SortedSides>& strata, double low, double high) {
  std::vector<WeightedValue> found;
  for (const auto& sides : strata) {
    const double weight = 1.0 / n_pairs(sides) / static_cast<double>(strata.size());
    std::size_t first = 0;
    for (const double x : sides.x) {
      while (first < sides.y.size() && !(x - sides.y[first] <= high)) ++first;
      for (std::size_t j = first; j < sides.y.size() && x - sides.y[j] > low; ++j) {
        found.push_back({x - sides.y[j], weight});
      }
    }
  }
  return found;
}

// The median: half way between the smallest v with F(v) >= 1/2 and the smallest with F(v) > 1/2. They differ only where
// F is 1/2 on a stretch, as it can be for an even number of pairs.
class MedianSearch {
 public:
  explicit MedianSearch(const std::vector<SortedSides>& strata) : strata_(strata) {
    low_ = std::numeric_limits<double>::infinity();
    high_ = -low_;
    double pairs = 0;
    for (const auto& sides : strata) {
      low_ = std::min(low_, sides.x.front() - sides.y.back());
      high_ = std::max(high_, sides.x.back() - sides.y.front());
      pairs += n_pairs(sides);
    }
    low_ = std::nextafter(low_, -std::numeric_limits<double>::infinity());  // F(low) = 0
    few_ = 400.0 / pairs;
  }

  // Moves low up and high down, F(low) < 1/2 < F(high), until what is between them is quickly sorted. The distribution
  // is smooth, so a straight line through its ends guesses well; each third step halves the interval, so that ties and
  // outliers cannot stall it.
  double median() {
    for (int step = 1; share_high_ - share_low_ > few_; ++step) {
      double guess = step % 3 == 0 ? middle(low_, high_) : on_line();
      if (!(guess > low_ && guess < high_)) guess = middle(low_, high_);
      if (!(guess > low_)) return high_;  // neighbours: all that is left is ties
      const double share = share_at_most(strata_, guess);
      if (share > 0.5 + rounding) {
        high_ = guess;
        share_high_ = share;
      } else if (share < 0.5 - rounding) {
        low_ = guess;
        share_low_ = share;
      } else {
        return (largest_up_to(guess) + smallest_above(guess)) / 2;
      }
    }
    return among_few();
  }

 private:
  // Of sums of shares. With strata of unequal sizes F can be much closer to 1/2 than one pair's weight, and not 1/2.
  static constexpr double rounding = 1e-12;

  // A little to the side of the median that is further away, so that both ends move.
  double on_line() const {
    const double at = share_low_ < 1.0 - share_high_ ? 0.5 - few_ / 4 : 0.5 + few_ / 4;
    return low_ + (high_ - low_) * (at - share_low_) / (share_high_ - share_low_);
  }

  double among_few() const {
    std::vector<WeightedValue> inside = differences_between(strata_, low_, high_);
    std::sort(inside.begin(), inside.end(),
              [](const WeightedValue& a, const WeightedValue& b) { return a.value < b.value; });
    double reached = share_low_;
    for (std::size_t k = 0; k + 1 < inside.size(); ++k) {
      reached += inside[k].weight;
      if (reached > 0.5 + rounding) return inside[k].value;
      if (reached > 0.5 - rounding) return (inside[k].value + inside[k + 1].value) / 2;
    }
    return inside.back().value;
  }

  double largest_up_to(double guess) const {
    double nearest = -std::numeric_limits<double>::infinity();
    for (const auto& sides : strata_) {
      std::size_t first = 0;
      for (const double x : sides.x) {
        while (first < sides.y.size() && !(x - sides.y[first] <= guess)) ++first;
        if (first == sides.y.size()) break;
        nearest = std::max(nearest, x - sides.y[first]);
      }
    }
    return nearest;
  }

  double smallest_above(double guess) const {
    double nearest = std::numeric_limits<double>::infinity();
    for (const auto& sides : strata_) {
      std::size_t first = 0;
      for (const double x : sides.x) {
        while (first < sides.y.size() && !(x - sides.y[first] <= guess)) ++first;
        if (first > 0) nearest = std::min(nearest, x - sides.y[first - 1]);
      }
    }
    return nearest;
  }

  const std::vector<SortedSides>& strata_;
  double low_, high_, few_;  // few: a share of pairs that is quickly sorted
  double share_low_ = 0, share_high_ = 1;
};

bool is_finite(const SortedSides& sides) {
  return std::isfinite(sides.x.front()) && std::isfinite(sides.x.back()) && std::isfinite(sides.y.front()) &&
         std::isfinite(sides.y.back());
}

}  // namespace

double share_above_all_pairs(const std::vector<SortedSides>& strata) {
  double sum = 0;
  for (const auto& sides : strata) sum += share_above(sides);
  return sum / static_cast<double>(strata.size());
}

namespace {

// Differences of two equal infinities.
double share_of_nan(const SortedSides& sides) {
  const double infinity = std::numeric_limits<double>::infinity();
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

}  // namespace

PairContrast contrast_all_pairs(const std::vector<SortedSides>& strata, double delta) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(strata.size());
  PairContrast out;
  out.above = share_above_all_pairs(strata);
  out.min = std::numeric_limits<double>::infinity();
  out.max = -out.min;
  std::vector<Moments> of_stratum;
  bool finite = true;
  for (const auto& sides : strata) {
    const double pairs = n_pairs(sides);
    // r >= delta is what is left over of r < delta; a NaN, from two infinities, satisfies neither.
    const auto below = count_pairs(sides, [delta](double r) { return r < delta || std::isnan(r); });
    const auto down = count_pairs(sides, [delta](double r) { return r <= -delta; });
    const double up_share = 1.0 - static_cast<double>(below) / pairs;
    const double down_share = static_cast<double>(down) / pairs;
    out.up += up_share / n;
    out.down += down_share / n;
    // For delta = 0 a difference of 0 is in both regions, but outside once; a NaN is in neither.
    out.outside += (delta > 0 ? up_share + down_share : 1.0 - share_of_nan(sides)) / n;
    finite = finite && is_finite(sides);
    const Moments x = moments(sides.x), y = moments(sides.y);
    of_stratum.push_back({x.mean - y.mean, x.variance + y.variance});
    out.mean += of_stratum.back().mean / n;
    out.min = std::min(out.min, sides.x.front() - sides.y.back());
    out.max = std::max(out.max, sides.x.back() - sides.y.front());
  }
  if (!finite) {
    out.mean = out.std = out.median = nan;
    return out;
  }
  double variance = 0;  // within strata and between them: no difference of large squares
  for (const Moments& m : of_stratum) variance += (m.variance + (m.mean - out.mean) * (m.mean - out.mean)) / n;
  out.std = std::sqrt(variance);
  out.median = MedianSearch(strata).median();
  return out;
}

}  // namespace rscvi
