#include "core/data/counts_check.h"

#include <cmath>
#include <limits>

#include "test.h"

using namespace rscvi;

namespace {

// Three cells with two, no and three entries.
const std::vector<std::int32_t> p = {0, 2, 2, 5};
const std::vector<std::int32_t> i = {1, 3, 0, 2, 3};

CountsReport check(const std::vector<double>& x) { return check_counts(p.data(), i.data(), x.data(), /*n_cells=*/3); }

}  // namespace

TEST_CASE("counts check: totals of sound counts, an empty cell among them") {
  const CountsReport report = check({4, 1, 0, 2, 1e6});
  CHECK(report.problem == CountsProblem::none);
  CHECK(report.n_problems == 0);
  CHECK(report.cell_totals == std::vector<double>{5, 0, 1000002});
}

TEST_CASE("counts check: the first problem is named with its place, and its like are counted") {
  struct Example {
    double bad;
    CountsProblem problem;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Example& example : {Example{-1, CountsProblem::negative}, Example{0.5, CountsProblem::fractional},
                                 Example{infinity, CountsProblem::not_finite}}) {
    const CountsReport report = check({1, 2, 3, example.bad, example.bad});
    CHECK(report.problem == example.problem);
    CHECK(report.cell == 2);
    CHECK(report.gene == 2);
    CHECK(report.value == example.bad);
    CHECK(report.n_problems == 2);
  }
}

TEST_CASE("counts check: NaN is not finite, and another kind of problem is not counted with the first") {
  const CountsReport report = check({std::nan(""), -1, 0.5, 1, std::nan("")});
  CHECK(report.problem == CountsProblem::not_finite);
  CHECK(report.cell == 0);
  CHECK(report.gene == 1);
  CHECK(std::isnan(report.value));
  CHECK(report.n_problems == 2);
}

TEST_CASE("counts check: a negative fraction is negative, not fractional") {
  CHECK(check({1, -0.5, 0, 0, 0}).problem == CountsProblem::negative);
}
