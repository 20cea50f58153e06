#include "core/data/corruption.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "test.h"

using namespace rscvi;

namespace {

std::vector<double> corrupt(const std::vector<double>& x, std::int64_t n_total, double rate, Corruption kind,
                            std::uint64_t seed = 1) {
  RandomStream random(seed);
  return corrupt_counts(x.data(), static_cast<std::int64_t>(x.size()), n_total, rate, kind, random);
}

std::int64_t n_changed(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), std::int64_t{0}, std::plus<>(), std::not_equal_to<>());
}

}  // namespace

TEST_CASE("corruption: uniform sets about a tenth of the chosen share to 0 and touches nothing else") {
  constexpr std::int64_t n = 100000;
  const std::vector<double> x(n, 3.0);
  for (const double rate : {0.1, 0.5, 1.0}) {
    CAPTURE(rate);
    const std::vector<double> y = corrupt(x, 10 * n, rate, Corruption::uniform);
    const double chosen = std::floor(rate * n);
    const double expected = 0.1 * chosen, sd = std::sqrt(0.1 * 0.9 * chosen);
    CHECK(std::abs(static_cast<double>(std::count(y.begin(), y.end(), 0.0)) - expected) < 4.5 * sd);
    CHECK(std::all_of(y.begin(), y.end(), [](double v) { return v == 0 || v == 3; }));
  }
}

TEST_CASE("corruption: binomial replaces the chosen share of all entries by Binomial(count, 0.2)") {
  constexpr std::int64_t n = 50000;
  constexpr double count = 200, rate = 0.4;  // Binomial(200, 0.2) never comes near 200 again
  const std::vector<double> x(n, count);
  SUBCASE("every entry stored: exactly floor(rate * entries) change") {
    const std::vector<double> y = corrupt(x, n, rate, Corruption::binomial);
    CHECK(n_changed(x, y) == 20000);
  }
  SUBCASE("half of the entries not stored: those take their share of the choice") {
    const std::vector<double> y = corrupt(x, 2 * n, rate, Corruption::binomial);
    // Hypergeometric: 40000 of 100000 chosen, 50000 of them stored.
    const double sd = std::sqrt(40000 * 0.5 * 0.5 * 60000 / 99999.0);
    CHECK(std::abs(n_changed(x, y) - 20000) < 4.5 * sd);
    double sum = 0, sum_of_squares = 0, n_drawn = 0;
    for (const double v : y) {
      if (v == count) continue;
      sum += v;
      sum_of_squares += v * v;
      ++n_drawn;
    }
    const double mean = sum / n_drawn, var = sum_of_squares / n_drawn - mean * mean;
    CHECK(std::abs(mean - 40) < 4.5 * std::sqrt(32 / n_drawn));
    CHECK(std::abs(var - 32) < 4.5 * 32 * std::sqrt(2 / n_drawn));
  }
}

TEST_CASE("corruption: explicit zeros stay zeros and are no candidates of the uniform kind") {
  std::vector<double> x(20000, 0.0);
  for (std::size_t k = 0; k < x.size(); k += 2) x[k] = 5;
  const std::vector<double> uniform = corrupt(x, 40000, 1.0, Corruption::uniform);
  const std::vector<double> binomial = corrupt(x, 40000, 1.0, Corruption::binomial);
  for (std::size_t k = 1; k < x.size(); k += 2) {
    REQUIRE(uniform[k] == 0);
    REQUIRE(binomial[k] == 0);
  }
  CHECK(std::abs(n_changed(x, uniform) - 1000) < 4.5 * std::sqrt(0.09 * 10000));
  // Binomial(5, 0.2) is 5 with probability 0.00032.
  CHECK(n_changed(x, binomial) > 9980);
}

TEST_CASE("corruption: rate 0 and no entries change nothing") {
  const std::vector<double> x = {1, 2, 3};
  CHECK(corrupt(x, 9, 0.0, Corruption::uniform) == x);
  CHECK(corrupt(x, 9, 0.0, Corruption::binomial) == x);
  CHECK(corrupt({}, 0, 0.5, Corruption::uniform).empty());
}

TEST_CASE("corruption: every entry is as likely to be chosen, wherever it stands") {
  constexpr int n_draws = 4000;
  const std::vector<double> x(5, 1000.0);
  std::vector<int> times(5);
  for (int seed = 0; seed < n_draws; ++seed) {
    const std::vector<double> y = corrupt(x, 5, 0.4, Corruption::binomial, seed);
    REQUIRE(n_changed(x, y) == 2);
    for (int k = 0; k < 5; ++k) times[k] += y[k] != x[k];
  }
  for (const int count : times) CHECK(std::abs(count - 0.4 * n_draws) < 4.5 * std::sqrt(0.24 * n_draws));
}

TEST_CASE("corruption: the seed decides") {
  const std::vector<double> x(1000, 10.0);
  for (const Corruption kind : {Corruption::uniform, Corruption::binomial}) {
    CHECK(corrupt(x, 1000, 0.5, kind, 3) == corrupt(x, 1000, 0.5, kind, 3));
    CHECK(corrupt(x, 1000, 0.5, kind, 3) != corrupt(x, 1000, 0.5, kind, 4));
  }
}
