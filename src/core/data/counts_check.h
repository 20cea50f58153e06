// One pass over the counts of a genes x cells column-compressed matrix: are they counts, and how many per cell?
#pragma once

#include <cstdint>
#include <vector>

namespace rscvi {

enum class CountsProblem { none, negative, fractional, not_finite };

struct CountsReport {
  CountsProblem problem = CountsProblem::none;  // the first kind that was met
  std::int64_t gene = 0, cell = 0;              // 0-based place of the first offending entry
  double value = 0;
  std::int64_t n_problems = 0;      // entries that offend in the same way
  std::vector<double> cell_totals;  // sum over genes, one element a cell
};

CountsReport check_counts(const std::int32_t* p, const std::int32_t* i, const double* x, std::int64_t n_cells);

}  // namespace rscvi
