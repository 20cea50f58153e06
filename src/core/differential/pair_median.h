// The median of the differences of all pairs of samples, without forming the pairs.
#pragma once

#include <vector>

#include "core/differential/pair_counts.h"

namespace rscvi {

// Bounds of the median that hold for most distributions, cheaply: a start for the search, which does not trust them.
struct MedianGuess {
  double low, high;
};
MedianGuess guess_median(const std::vector<SortedSides>& strata);

// A point of the distribution function of the differences, strata weighing the same.
struct KnownShare {
  double at, share;
};

// Half way between the smallest v with F(v) >= 1/2 and the smallest with F(v) > 1/2. They differ only where F is 1/2 on
// a stretch, as it can be for an even number of pairs. All samples are finite; `counters` are of `strata`; `known` are
// any points of F that have been computed already.
double median_of_pairs(const std::vector<SortedSides>& strata, const std::vector<PairCounter>& counters,
                       const std::vector<KnownShare>& known);

}  // namespace rscvi
