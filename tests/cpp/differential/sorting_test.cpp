#include "core/differential/sorting.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "test.h"

using namespace rscvi;

namespace {

void check_sorted_as_std_sort(std::vector<double> values) {
  std::vector<double> expected = values;
  std::sort(expected.begin(), expected.end());
  sort_values(values);
  CHECK(values == expected);
}

}  // namespace

TEST_CASE("sorting: the order of std::sort, below and above the size at which the method changes") {
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  for (const std::size_t n : {0, 1, 2, 255, 256, 257, 3000}) {
    std::vector<double> any(n), scales(n), equal(n, 0.25);
    for (std::size_t k = 0; k < n; ++k) {
      any[k] = std::ldexp(normal(engine), static_cast<int>(engine() % 600) - 300);
      scales[k] = static_cast<float>(std::exp(normal(engine) - 9));  // as they come: single precision, close together
    }
    check_sorted_as_std_sort(any);
    check_sorted_as_std_sort(scales);
    check_sorted_as_std_sort(equal);
    std::sort(any.begin(), any.end());
    check_sorted_as_std_sort(any);
    std::reverse(any.begin(), any.end());
    check_sorted_as_std_sort(any);
  }
}

TEST_CASE("sorting: infinities, zeros of both signs and numbers below the normal range have their places") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  std::vector<double> values;
  for (int k = 0; k < 60; ++k) {
    for (const double v : {infinity, -infinity, 0.0, -0.0, tiny, -tiny, 1.0, -1.0}) values.push_back(v);
  }
  check_sorted_as_std_sort(values);
}
