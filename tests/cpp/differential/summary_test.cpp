#include "core/differential/summary.h"

#include <cmath>
#include <limits>

#include "core/base/errors.h"
#include "test.h"

using namespace rscvi;

TEST_CASE("summary: mean, median, standard deviation with divisor n, minimum and maximum") {
  std::vector<double> odd = {3, -1, 4}, even = {3, -1, 4, 10};
  const Summary of_odd = summarise(odd, {}), of_even = summarise(even, {});
  CHECK(odd == std::vector<double>{-1, 3, 4});
  CHECK(of_odd.mean == 2);
  CHECK(of_odd.median == 3);
  CHECK(of_odd.std == doctest::Approx(std::sqrt(14.0 / 3)));
  CHECK(of_odd.min == -1);
  CHECK(of_odd.max == 4);
  CHECK(of_odd.intervals.empty());
  CHECK(of_even.mean == 4);
  CHECK(of_even.median == 3.5);
  CHECK(of_even.std == doctest::Approx(std::sqrt(62.0 / 4)));
}

TEST_CASE("summary: the shortest interval is the first shortest of those that span floor(level n) steps") {
  const std::vector<double> sorted = {0, 5, 6, 7, 20, 21, 22, 40};
  const Interval two_steps = shortest_interval(sorted, 0.25), five = shortest_interval(sorted, 0.7);
  CHECK(two_steps.min == 5);
  CHECK(two_steps.max == 7);
  CHECK(five.min == 5);  // 5 .. 22 is 17 long, 0 .. 21 and 6 .. 40 are longer
  CHECK(five.max == 22);
  const Interval none = shortest_interval(sorted, 0.1);
  CHECK(none.min == none.max);

  std::vector<double> values = {40, 0, 21, 5, 7, 22, 6, 20};
  const Summary summary = summarise(values, {0.25, 0.7});
  REQUIRE(summary.intervals.size() == 2);
  CHECK(summary.intervals[0].min == 5);
  CHECK(summary.intervals[1].max == 22);
}

TEST_CASE("summary: levels that no interval has are refused") {
  const std::vector<double> sorted = {1, 2, 3};
  for (const double level : {0.0, -0.5, 1.0, 2.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(shortest_interval(sorted, level), InvalidArgument);
  }
}

TEST_CASE("summary: NaN makes all of it NaN, infinities are values") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> with_nan = {1, std::numeric_limits<double>::quiet_NaN(), 2}, with_infinity = {1, infinity, 2};
  const Summary of_nan = summarise(with_nan, {0.5}), of_infinity = summarise(with_infinity, {});
  CHECK(std::isnan(of_nan.mean));
  CHECK(std::isnan(of_nan.max));
  REQUIRE(of_nan.intervals.size() == 1);
  CHECK(std::isnan(of_nan.intervals[0].min));
  CHECK(of_infinity.median == 2);
  CHECK(of_infinity.max == infinity);
}
