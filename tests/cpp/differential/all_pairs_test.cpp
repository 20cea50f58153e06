#include "core/differential/all_pairs.h"

#include <chrono>
#include <cmath>
#include <limits>

#include "differential/brute_force.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {
constexpr double exact = 1e-12;
constexpr double infinity = std::numeric_limits<double>::infinity();
}  // namespace

TEST_CASE("all pairs: what forming the pairs gives, for any sizes, strata, ties and regions") {
  std::mt19937_64 engine(1);
  for (const std::size_t n_strata : {1, 2, 3}) {
    for (const double step : {0.0, 0.25, 2.0}) {  // no ties, some, hardly anything else
      for (const double delta : {0.0, 0.25, 1.0, 50.0}) {
        for (const std::size_t n : {1, 2, 7, 30, 301}) {
          std::vector<SortedSides> strata;
          for (std::size_t s = 0; s < n_strata; ++s) {
            const auto shift = static_cast<double>(s);
            strata.push_back({sorted_draws(n + s, shift, step, engine),
                              sorted_draws(2 * n - s % 2, 0.3, step, engine)});
          }
          const PairContrast found = contrast_all_pairs(strata, delta);
          CHECK(largest_difference(found, contrast_by_hand(strata, delta)) < exact);
          CHECK(std::abs(share_above_all_pairs(strata) - found.above) < exact);
        }
      }
    }
  }
}

TEST_CASE("all pairs: one side constant, both constant, one pair") {
  const std::vector<std::vector<SortedSides>> cases = {
      {{{1, 1, 1}, {1, 1}}}, {{{1, 1, 1}, {0, 2}}}, {{{3}, {1}}}, {{{3}, {3}}, {{0, 1, 2}, {1}}}};
  for (const auto& strata : cases) {
    for (const double delta : {0.0, 0.5, 1.0, 2.0}) {
      CHECK(largest_difference(contrast_all_pairs(strata, delta), contrast_by_hand(strata, delta)) < exact);
    }
  }
}

TEST_CASE("all pairs: outliers far away move neither the median nor its search") {
  std::mt19937_64 engine(2);
  SortedSides sides{sorted_draws(200, 0, 0, engine), sorted_draws(150, 0, 0, engine)};
  sides.x.front() = -1e300;
  sides.x.back() = 1e300;
  sides.y.front() = -1e150;
  const PairContrast found = contrast_all_pairs({sides}, 0.5);
  CHECK(found.median == median_of(form_pairs({sides})));
  CHECK(found.min == sides.x.front() - sides.y.back());
  CHECK(found.max == 1e300);
}

TEST_CASE("all pairs: the median of clusters far apart is found without forming pairs") {
  // The search halves intervals such as -2 .. 2, counted in doubles: more of them than a signed integer counts.
  std::mt19937_64 engine(3);
  const auto clusters = [&engine](std::size_t n, double low, double high) {
    std::vector<double> values = sorted_draws(n / 2, low, 0, engine), above = sorted_draws(n - n / 2, high, 0, engine);
    values.insert(values.end(), above.begin(), above.end());
    std::sort(values.begin(), values.end());
    return values;
  };
  std::vector<double> medians;
  for (const double gap : {4.0, 20.0, 400.0}) {
    const SortedSides large{clusters(4000, -gap, gap), clusters(4000, -gap, gap)};
    const auto began = std::chrono::steady_clock::now();
    medians.push_back(contrast_all_pairs({large}, 0.5).median);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    CHECK(seconds.count() < 0.2);  // takes 2 ms
    CHECK(std::abs(medians.back()) < 0.2);
    const SortedSides small{clusters(60, -gap, gap), clusters(41, -gap, gap)};
    CHECK(std::abs(contrast_all_pairs({small}, 0.5).median - median_of(form_pairs({small}))) < exact);
  }
}

TEST_CASE("all pairs: ties in great numbers are not formed either") {
  const std::vector<double> same(4000, 1.0), others(4000, 3.0);
  const auto began = std::chrono::steady_clock::now();
  CHECK(contrast_all_pairs({{same, others}}, 0.5).median == -2);
  std::vector<double> half = same;
  std::fill(half.begin() + 2000, half.end(), 5.0);
  CHECK(contrast_all_pairs({{half, others}}, 0.5).median == 0);  // half way from -2 to 2
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  CHECK(seconds.count() < 0.2);
}

TEST_CASE("all pairs: strata weigh the same, whatever their sizes") {
  const SortedSides small{{5}, {0}}, large{std::vector<double>(40, 0.0), std::vector<double>(50, 5.0)};
  const PairContrast found = contrast_all_pairs({small, large}, 1);
  CHECK(found.above == 0.5);
  CHECK(found.up == 0.5);
  CHECK(found.down == 0.5);
  CHECK(found.outside == 1);
  CHECK(found.mean == 0);
  CHECK(found.std == 5);
  CHECK(found.median == 0);
}

TEST_CASE("all pairs: a sample of minus infinity, the logarithm of 0, leaves the probabilities sound") {
  const std::vector<SortedSides> strata = {{{-infinity, 0, 1}, {-infinity, 0.2}}};
  const PairContrast found = contrast_all_pairs(strata, 0.5);
  // r: NaN, -Inf; Inf, -0.2; Inf, 0.8.
  CHECK(found.above == doctest::Approx(3.0 / 6));
  CHECK(found.up == doctest::Approx(3.0 / 6));
  CHECK(found.down == doctest::Approx(1.0 / 6));
  CHECK(found.outside == doctest::Approx(4.0 / 6));
  CHECK(std::isnan(found.mean));
  CHECK(std::isnan(found.median));
  CHECK(std::isnan(found.std));
}
