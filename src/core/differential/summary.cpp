#include "core/differential/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/base/errors.h"
#include "core/differential/sorting.h"

namespace rscvi {

Interval shortest_interval(const std::vector<double>& sorted, double level) {
  const std::size_t n = sorted.size();
  const auto width = static_cast<std::size_t>(std::floor(level * static_cast<double>(n)));
  if (!(level > 0) || width >= n) {
    throw InvalidArgument("no interval of level " + std::to_string(level) + " can be had from " + std::to_string(n) +
                          " values");
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i + width < n; ++i) {
    if (sorted[i + width] - sorted[i] < sorted[best + width] - sorted[best]) best = i;
  }
  return {sorted[best], sorted[best + width]};
}

Summary summarise(std::vector<double>& values, const std::vector<double>& levels) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Summary summary;
  if (values.empty() || std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) {
    summary = {nan, nan, nan, nan, nan, std::vector<Interval>(levels.size(), Interval{nan, nan})};
    return summary;
  }
  sort_values(values);
  const double* value = values.data();
  const std::size_t count = values.size();
  const auto n = static_cast<double>(count);
  double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t k = 0; k < count; ++k) sum += value[k];
  const double mean = sum / n;
#pragma omp simd reduction(+ : squares)
  for (std::size_t k = 0; k < count; ++k) squares += (value[k] - mean) * (value[k] - mean);
  summary.mean = mean;
  summary.std = std::sqrt(squares / n);
  const std::size_t middle = values.size() / 2;
  summary.median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  summary.min = values.front();
  summary.max = values.back();
  for (const double level : levels) summary.intervals.push_back(shortest_interval(values, level));
  return summary;
}

}  // namespace rscvi
