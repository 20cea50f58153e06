#include "core/differential/pair_median.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rscvi {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Of sums of shares. With strata of unequal sizes F can be much closer to 1/2 than one pair's weight, and not 1/2.
constexpr double rounding = 1e-12;

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

// A difference, and the weight that it carries in the distribution.
struct WeightedValue {
  double value, weight;
};

class MedianSearch {
 public:
  MedianSearch(const std::vector<SortedSides>& strata, const std::vector<PairCounter>& counters)
      : strata_(strata), counters_(counters) {
    double pairs = 0;
    for (const SortedSides& sides : strata) {
      low_ = std::min(low_, sides.x.front() - sides.y.back());
      high_ = std::max(high_, sides.x.back() - sides.y.front());
      pairs += n_pairs(sides);
    }
    low_ = std::nextafter(low_, -infinity);  // F(low) = 0
    few_ = 800.0 / pairs;
  }

  // Moves low up and high down, F(low) < 1/2 < F(high), until what is between them is quickly sorted. The distribution
  // is smooth, so a straight line through its ends guesses well: guesses a little to either side of the median, so that
  // both ends move, and others further out, in case the line is not straight enough. Each third time one of them halves
  // the interval, so that ties and outliers cannot stall it.
  double median(const std::vector<KnownShare>& known) {
    for (const KnownShare& point : known) {
      if (learn(point)) return around(point.at);
    }
    for (int step = 1; share_high_ - share_low_ > few_; ++step) {
      const double half = middle(low_, high_);
      if (!(half > low_)) return high_;  // neighbours: all that is left is ties
      const double wide = (share_high_ - share_low_) / 100, narrow = std::max(few_ / 8, wide / 20);
      const double guesses[] = {step % 3 == 0 ? half : on_line(0.5 - wide), on_line(0.5 - narrow),
                                on_line(0.5 + narrow), on_line(0.5 + wide)};
      for (const KnownShare& point : shares_at_most(guesses, half)) {
        if (learn(point)) return around(point.at);
      }
    }
    return among_few();
  }

 private:
  // `otherwise` in place of guesses that lie outside of what is known already.
  std::array<KnownShare, 4> shares_at_most(const double (&guesses)[4], double otherwise) const {
    std::array<double, 4> at{};
    for (int k = 0; k < 4; ++k) at[k] = guesses[k] > low_ && guesses[k] < high_ ? guesses[k] : otherwise;
    std::array<KnownShare, 4> points{{{at[0], 0}, {at[1], 0}, {at[2], 0}, {at[3], 0}}};
    for (const PairCounter& counter : counters_) {
      const std::array<std::int64_t, 4> counts = counter.count_at_most<4>(at);
      for (int k = 0; k < 4; ++k) points[k].share += static_cast<double>(counts[k]) / counter.n_pairs();
    }
    for (KnownShare& point : points) point.share /= static_cast<double>(counters_.size());
    return points;
  }

  // True if the share is 1/2.
  bool learn(const KnownShare& point) {
    if (point.share > 0.5 + rounding) {
      if (point.at < high_) high_ = point.at, share_high_ = point.share;
      return false;
    }
    if (point.share < 0.5 - rounding) {
      if (point.at > low_) low_ = point.at, share_low_ = point.share;
      return false;
    }
    return true;
  }

  double on_line(double share) const {
    return low_ + (high_ - low_) * (share - share_low_) / (share_high_ - share_low_);
  }

  // Visits the first y of each x that makes a difference of at most `limit`, from the first that has one.
  template <class Visit>
  static void walk(const SortedSides& sides, double limit, Visit&& visit) {
    std::size_t first = 0;
    for (const double x : sides.x) {
      while (first < sides.y.size() && !(x - sides.y[first] <= limit)) ++first;
      visit(x, first);
    }
  }

  // All differences in (low, high], sorted.
  double among_few() const {
    std::vector<WeightedValue> found;
    for (const SortedSides& sides : strata_) {
      const double weight = 1.0 / n_pairs(sides) / static_cast<double>(strata_.size());
      walk(sides, high_, [&](double x, std::size_t first) {
        for (std::size_t j = first; j < sides.y.size() && x - sides.y[j] > low_; ++j) {
          found.push_back({x - sides.y[j], weight});
        }
      });
    }
    std::sort(found.begin(), found.end(),
              [](const WeightedValue& a, const WeightedValue& b) { return a.value < b.value; });
    double reached = share_low_;
    for (std::size_t k = 0; k + 1 < found.size(); ++k) {
      reached += found[k].weight;
      if (reached > 0.5 + rounding) return found[k].value;
      if (reached > 0.5 - rounding) return (found[k].value + found[k + 1].value) / 2;
    }
    return found.back().value;
  }

  // Half way from the largest difference up to `limit` to the smallest above it.
  double around(double limit) const {
    double below = -infinity, above = infinity;
    for (const SortedSides& sides : strata_) {
      walk(sides, limit, [&](double x, std::size_t first) {
        if (first < sides.y.size()) below = std::max(below, x - sides.y[first]);
        if (first > 0) above = std::min(above, x - sides.y[first - 1]);
      });
    }
    return (below + above) / 2;
  }

  const std::vector<SortedSides>& strata_;
  const std::vector<PairCounter>& counters_;
  double low_ = infinity, high_ = -infinity, few_;  // few: a share of pairs that is quickly sorted
  double share_low_ = 0, share_high_ = 1;
};

}  // namespace

MedianGuess guess_median(const std::vector<SortedSides>& strata) {
  // Quantiles in place of the samples: what 32 x 32 pairs say of the median is off by less than a
  // hundredth of F, as a rule.
  constexpr std::size_t n = 32;
  std::vector<double> differences;
  for (const SortedSides& sides : strata) {
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b < n; ++b) {
        differences.push_back(sides.x[(2 * a + 1) * sides.x.size() / (2 * n)] -
                              sides.y[(2 * b + 1) * sides.y.size() / (2 * n)]);
      }
    }
  }
  const std::size_t middle = differences.size() / 2, aside = differences.size() / 50;
  const auto from = differences.begin() + static_cast<std::ptrdiff_t>(middle - aside);
  const auto to = differences.begin() + static_cast<std::ptrdiff_t>(middle + aside);
  std::nth_element(differences.begin(), from, differences.end());
  std::nth_element(from, to, differences.end());
  return {*from, *to};
}

double median_of_pairs(const std::vector<SortedSides>& strata, const std::vector<PairCounter>& counters,
                       const std::vector<KnownShare>& known) {
  return MedianSearch(strata, counters).median(known);
}

}  // namespace rscvi
