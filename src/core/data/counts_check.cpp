#include "core/data/counts_check.h"

#include <cmath>

namespace rscvi {
namespace {

CountsProblem problem_of(double value) {
  if (!std::isfinite(value)) return CountsProblem::not_finite;
  if (value < 0) return CountsProblem::negative;
  if (value != std::floor(value)) return CountsProblem::fractional;
  return CountsProblem::none;
}

}  // namespace

CountsReport check_counts(const std::int32_t* p, const std::int32_t* i, const double* x, std::int64_t n_cells) {
  CountsReport report;
  report.cell_totals.resize(n_cells);
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    double total = 0;
    for (std::int32_t k = p[cell]; k < p[cell + 1]; ++k) {
      total += x[k];
      const CountsProblem problem = problem_of(x[k]);
      if (problem == CountsProblem::none) continue;
      if (report.problem == CountsProblem::none) {
        report.problem = problem;
        report.gene = i[k];
        report.cell = cell;
        report.value = x[k];
      }
      report.n_problems += problem == report.problem;
    }
    report.cell_totals[cell] = total;
  }
  return report;
}

}  // namespace rscvi
