// Differences of log-gamma and digamma that stay accurate where the functions themselves are huge.
//
// A negative binomial with inverse dispersion theta needs lgamma(x + theta) - lgamma(theta). For theta = 1e6 both are
// about 1e7, so in single precision their difference has errors of whole units. The functions here never form the two:
// small counts are a product of x factors, the rest is Stirling's series for the difference itself.
#pragma once

#include <array>
#include <cmath>

namespace rscvi {

namespace gamma_detail {

// From here on Stirling's series with the terms below is exact to double precision (next term < 1e-17 at z = 16).
constexpr double stirling_from = 16.0;

// lgamma(z) - [(z - 1/2) ln z - z + ln(2 pi) / 2]  (Abramowitz & Stegun 6.1.41)
inline double stirling_tail(double z) {
  const double w = 1.0 / (z * z);
  return (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188))))) / z;
}

// digamma(z) - ln z  (Abramowitz & Stegun 6.3.18)
inline double digamma_tail(double z) {
  const double w = 1.0 / (z * z);
  return -0.5 / z - w * (1.0 / 12 - w * (1.0 / 120 - w * (1.0 / 252 - w * (1.0 / 240 - w * (1.0 / 132)))));
}

// Counts up to this many are summed term by term.
constexpr double direct_up_to = 24.0;

inline bool is_small_count(double x) { return x <= direct_up_to && x == std::floor(x); }

}  // namespace gamma_detail

// D(theta, x) = lgamma(theta + x) - lgamma(theta) - x ln(theta), for theta > 0 and any real x >= 0.
// For a whole number x it is sum_{k < x} log1p(k / theta), so it is 0 for x = 0 and x = 1.
inline double lgamma_rising(double theta, double x) {
  using gamma_detail::stirling_from;
  using gamma_detail::stirling_tail;
  using gamma_detail::is_small_count;
  if (is_small_count(x)) {
    double product = 1.0, sum = 0.0;
    for (double k = 1.0; k < x; ++k) {
      product *= 1.0 + k / theta;
      if (product > 1e100) {  // k / theta can be large: empty the product into the sum before it overflows
        sum += std::log(product);
        product = 1.0;
      }
    }
    return sum + std::log(product);
  }
  // Move theta up to where Stirling's series holds: lgamma(theta) = lgamma(theta + 1) - ln(theta).
  const double log_theta = std::log(theta);
  // gap is y - z, counted rather than subtracted: y is rounded to theta's last digit, which log(z) below would blow up.
  double shift = 0.0, z = theta, y = theta + x, gap = x;
  for (; z < stirling_from; z += 1.0, gap -= 1.0) shift += std::log(z);
  for (; y < stirling_from; y += 1.0, gap += 1.0) shift -= std::log(y);
  return (y - 0.5) * std::log1p(gap / z) + gap * std::log(z) - gap + stirling_tail(y) - stirling_tail(z) + shift -
         x * log_theta;
}

// digamma(theta + x) - digamma(theta), for theta > 0 and any real x >= 0; sum_{k < x} 1 / (theta + k) for a count.
inline double digamma_rising(double theta, double x) {
  using gamma_detail::stirling_from;
  using gamma_detail::digamma_tail;
  using gamma_detail::is_small_count;
  double sum = 0.0;
  if (is_small_count(x)) {
    for (double k = 0.0; k < x; ++k) sum += 1.0 / (theta + k);
    return sum;
  }
  double z = theta, y = theta + x, gap = x;  // as above
  for (; z < stirling_from; z += 1.0, gap -= 1.0) sum += 1.0 / z;
  for (; y < stirling_from; y += 1.0, gap += 1.0) sum -= 1.0 / y;
  return sum + std::log1p(gap / z) + digamma_tail(y) - digamma_tail(z);
}

// ln(x!) = lgamma(x + 1), from a table for the counts that data are made of.
inline double log_factorial(double x) {
  constexpr int table_size = 256;
  static const std::array<double, table_size> table = [] {
    std::array<double, table_size> values{};
    for (int k = 1; k < table_size; ++k) values[k] = values[k - 1] + std::log(static_cast<double>(k));
    return values;
  }();
  if (x < table_size && x == std::floor(x)) return table[static_cast<int>(x)];
  using gamma_detail::stirling_from;
  using gamma_detail::stirling_tail;
  constexpr double half_log_two_pi = 0.91893853320467274178;
  double shift = 0.0, z = x + 1.0;
  for (; z < stirling_from; z += 1.0) shift += std::log(z);
  return (z - 0.5) * std::log(z) - z + half_log_two_pi + stirling_tail(z) - shift;
}

}  // namespace rscvi
