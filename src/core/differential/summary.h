// Summaries of a sample of values: of the log-fold changes of one gene over pairs of posterior samples.
#pragma once

#include <vector>

namespace rscvi {

struct Interval {
  double min = 0, max = 0;
};

struct Summary {
  double mean = 0, median = 0, std = 0, min = 0, max = 0;  // std: divisor n
  std::vector<Interval> intervals;                         // one a level asked for
};

// The shortest interval between order statistics i and i + floor(level * n): the highest posterior density interval
// of a unimodal distribution. The first of equally short ones. `sorted` is ascending.
// InvalidArgument unless 0 < level and floor(level * n) < n.
Interval shortest_interval(const std::vector<double>& sorted, double level);

// Sorts `values`. NaN anywhere makes everything NaN; infinities are values like any other.
Summary summarise(std::vector<double>& values, const std::vector<double>& levels);

}  // namespace rscvi
