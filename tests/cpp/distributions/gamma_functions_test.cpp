#include "core/distributions/gamma_functions.h"

#include <cmath>
#include <initializer_list>

#include "test.h"

using namespace rscvi;

namespace {

using Real = long double;

const std::initializer_list<double> thetas = {1e-8, 1e-4, 0.03, 0.5,      1,   2.7, 15.99, 16,
                                              16.01, 40.3, 1e3,  1e5 / 3, 1e6, 1e7, 1e8};
// Counts and numbers between them; 24 is the last count that is summed term by term.
const std::initializer_list<double> xs = {0,  1,    2,  3,    10,  15.5,   16,     23, 24,
                                          25, 24.5, 26, 63.2, 255, 1000.7, 100000, 1e6};

bool is_whole(double x) { return x == std::floor(x); }

Real rising(Real theta, double x) {
  if (!is_whole(x) || x > 1e5) return std::lgamma(theta + x) - std::lgamma(theta) - x * std::log(theta);
  Real sum = 0;
  for (Real k = 1; k < x; ++k) sum += std::log1p(k / theta);
  return sum;
}

// digamma far out, where two terms of its series are exact to 1e-17.
Real digamma(Real z) {
  Real sum = 0;
  for (; z < 300; ++z) sum -= 1 / z;
  return sum + std::log(z) - 1 / (2 * z) - 1 / (12 * z * z) + 1 / (120 * z * z * z * z);
}

Real digamma_difference(Real theta, double x) {
  if (!is_whole(x) || x > 1e5) return digamma(theta + x) - digamma(theta);
  Real sum = 0;
  for (Real k = 0; k < x; ++k) sum += 1 / (theta + k);
  return sum;
}

}  // namespace

TEST_CASE("lgamma_rising: equal to the exact sum, or to lgamma in extended precision") {
  for (const double theta : thetas) {
    for (const double x : xs) {
      CAPTURE(theta);
      CAPTURE(x);
      const auto expected = static_cast<double>(rising(theta, x));
      // The terms that make the value up are of size x ln(theta) and x ln(x).
      const double scale = 1 + x * (1 + std::abs(std::log(theta)) + std::log1p(x));
      // What lgamma itself loses in extended precision.
      const double noise_of_reference = 2e-19 * theta * std::log1p(theta);
      CHECK(std::abs(lgamma_rising(theta, x) - expected) < 4e-15 * scale + noise_of_reference);
    }
  }
}

TEST_CASE("lgamma_rising: counts up to 24 keep full precision however large theta is") {
  for (const double theta : thetas) {
    for (double x = 2; x <= 24; ++x) {
      CAPTURE(theta);
      CAPTURE(x);
      const auto expected = static_cast<double>(rising(theta, x));
      CHECK(std::abs(lgamma_rising(theta, x) - expected) < 3e-15 * (1 + expected));
    }
    CHECK(lgamma_rising(theta, 0) == 0);
    CHECK(lgamma_rising(theta, 1) == 0);
  }
}

TEST_CASE("digamma_rising: equal to the exact sum, or to digamma in extended precision") {
  for (const double theta : thetas) {
    for (const double x : xs) {
      CAPTURE(theta);
      CAPTURE(x);
      const auto expected = static_cast<double>(digamma_difference(theta, x));
      CHECK(std::abs(digamma_rising(theta, x) - expected) <= 1e-13 * expected + 5e-18);
    }
  }
}

TEST_CASE("gamma differences: one step in x adds its term, across the switch of method at 24") {
  for (const double theta : thetas) {
    for (double x = 20; x < 30; ++x) {
      CAPTURE(theta);
      CAPTURE(x);
      const double tolerance = 2e-14 * (1 + x * (1 + std::abs(std::log(theta))));
      CHECK(std::abs(lgamma_rising(theta, x + 1) - lgamma_rising(theta, x) - std::log1p(x / theta)) < tolerance);
      const double step = digamma_rising(theta, x + 1) - digamma_rising(theta, x);
      CHECK(std::abs(step - 1 / (theta + x)) < 1e-15 * (1 + digamma_rising(theta, x)));
    }
  }
}

TEST_CASE("gamma differences: no jump where the method changes") {
  constexpr double step = 1e-9;
  for (const double theta : {0.5, 3.0, 16.0, 1e4}) {
    CAPTURE(theta);
    // From the sum at a count to the series right beside it: the slope is digamma(theta + x) - ln(theta).
    for (const double x : {1.0, 16.0, 24.0}) {
      CHECK(std::abs(lgamma_rising(theta, x + step) - lgamma_rising(theta, x)) < 1e-7);
      CHECK(std::abs(digamma_rising(theta, x + step) - digamma_rising(theta, x)) < 1e-7);
    }
  }
  for (const double x : {0.7, 15.5, 24.0, 30.0}) {  // theta at which Stirling's series begins
    CAPTURE(x);
    CHECK(std::abs(lgamma_rising(16 - step, x) - lgamma_rising(16, x)) < 1e-7);
    CHECK(std::abs(digamma_rising(16 - step, x) - digamma_rising(16, x)) < 1e-7);
  }
}

TEST_CASE("gamma differences: digamma_rising is the slope of lgamma_rising in theta") {
  for (const double theta : {0.01, 0.9, 7.3, 15.9, 16.1, 250.0}) {
    for (const double x : {2.0, 9.5, 24.0, 25.0, 300.0}) {
      CAPTURE(theta);
      CAPTURE(x);
      const double h = 1e-5 * theta;
      const double slope = (lgamma_rising(theta + h, x) - lgamma_rising(theta - h, x)) / (2 * h) + x / theta;
      CHECK(digamma_rising(theta, x) == doctest::Approx(slope).epsilon(1e-6));
    }
  }
}

TEST_CASE("log_factorial: equal to lgamma(x + 1), at whole numbers and between, across the table's end at 256") {
  for (const double x : {0.0, 0.3, 1.0, 2.0, 5.5, 14.9, 15.0, 15.1, 23.0, 24.0, 170.0, 254.5, 255.0, 255.5, 256.0,
                         256.5, 257.0, 1e4, 123456.7, 1e6}) {
    CAPTURE(x);
    const auto expected = static_cast<double>(std::lgamma(static_cast<Real>(x) + 1));
    CHECK(std::abs(log_factorial(x) - expected) < 1e-14 * (1 + expected) + 4e-15 * (x < 16 ? 20 : 0));
  }
  CHECK(log_factorial(0) == 0);
  CHECK(log_factorial(1) == 0);
  CHECK(log_factorial(256) - log_factorial(255) == doctest::Approx(std::log(256.0)).epsilon(1e-12));
}
