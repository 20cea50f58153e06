// Exact statements about all pairs of samples of two populations, without ever forming the pairs: each side is sorted
// once, then two pointers walk along both. O(S log S) a gene for S samples, instead of O(S^2).
#pragma once

#include <vector>

namespace rscvi {

// The samples of the two populations that may be paired (one batch, or all): ascending, without NaN, not empty.
struct SortedSides {
  std::vector<double> x, y;
};

// Of r = x - y over all pairs. Strata weigh the same each, whatever their numbers of samples.
struct PairContrast {
  double above = 0;    // P(x > y)
  double up = 0;       // P(r >= delta)
  double down = 0;     // P(r <= -delta)
  double outside = 0;  // P(|r| >= delta)
  double mean = 0, std = 0, median = 0, min = 0, max = 0;  // std with divisor n; NaN where a sample is infinite
};

// P(x > y) alone.
double share_above_all_pairs(const std::vector<SortedSides>& strata);

PairContrast contrast_all_pairs(const std::vector<SortedSides>& strata, double delta);

}  // namespace rscvi
