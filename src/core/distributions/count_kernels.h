// Log-likelihood of one count and its derivatives, in one go. T is the type of the network's tensors (float in
// training, double in tests); whatever involves a positive count is computed in double, which is a tenth of the
// entries.
//
// Parameters: mu mean, theta inverse dispersion (variance mu + mu^2 / theta), pi logit of the dropout probability.
// Formulas are those of scvi 0.6.8 with its eps = 1e-8, rearranged so that nothing large cancels:
//   t = theta + eps,  s = theta + mu + eps,  q = log1p(mu / t) = ln(s / t)
//   log NB(x) = -theta q - x q + x ln(mu + eps) + D(theta, x) - x ln(t / theta) - ln(x!)     D: lgamma_rising()
//   log ZINB(0) = ln(1 + sigmoid(-pi) (exp(-theta q) - 1)),   log ZINB(x > 0) = log NB(x) - softplus(pi)
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/distributions/gamma_functions.h"

namespace rscvi {

// The value and its partial derivatives; a distribution without a parameter leaves that derivative at 0.
template <class T>
struct CountTerm {
  T value = 0, d_mu = 0, d_theta = 0, d_pi = 0;
};

namespace count_detail {

constexpr double eps = 1e-8;
// A rate or dispersion that underflowed to 0 would turn 0 * ln(0) into NaN; any smaller value means the same as this.
constexpr double tiny = 1e-30;

template <class T>
T softplus(T v) {
  return std::max(v, T(0)) + std::log1p(std::exp(-std::abs(v)));
}

template <class T>
T sigmoid(T v) {
  const T e = std::exp(-std::abs(v));
  return (v >= 0 ? T(1) : e) / (T(1) + e);
}

}  // namespace count_detail

struct NegativeBinomialKernel {
  static constexpr bool has_theta = true;
  static constexpr bool has_pi = false;

  template <class T>
  static CountTerm<T> evaluate(T x, T mu, T theta, T /*pi*/) {
    using count_detail::eps;
    using count_detail::tiny;
    CountTerm<T> term;
    if (x == T(0)) {
      const T safe_theta = std::max(theta, T(tiny)), safe_mu = std::max(mu, T(0));
      const T t = safe_theta + T(eps), s = safe_theta + safe_mu + T(eps);
      const T ratio = safe_mu / t, share = safe_theta / s;  // theta * mu would overflow a float where these do not
      const T q = std::log1p(ratio);
      term.value = -safe_theta * q;
      term.d_mu = -share;
      term.d_theta = -q + share * ratio;
      return term;
    }
    const double c = x, r = std::max<double>(theta, tiny), m = std::max<double>(mu, 0.0);
    const double t = r + eps, s = r + m + eps, q = std::log1p(m / t);
    term.value = static_cast<T>(-(r + c) * q + c * std::log(m + eps) + lgamma_rising(r, c) - c * std::log1p(eps / r) -
                                log_factorial(c));
    term.d_mu = static_cast<T>(-r / s + c / (m + eps) - c / s);
    term.d_theta = static_cast<T>(-q + r * m / (t * s) - c / s + digamma_rising(r, c));
    return term;
  }
};

struct ZeroInflatedNegativeBinomialKernel {
  static constexpr bool has_theta = true;
  static constexpr bool has_pi = true;

  template <class T>
  static CountTerm<T> evaluate(T x, T mu, T theta, T pi) {
    using count_detail::softplus;
    using count_detail::sigmoid;
    CountTerm<T> term = NegativeBinomialKernel::evaluate(x, mu, theta, pi);
    if (x != T(0)) {
      term.value -= softplus(pi);
      term.d_pi = -sigmoid(pi);
      return term;
    }
    const T d = term.value;  // log NB(0)
    const T kept = sigmoid(-pi);
    // log1p loses everything when kept is 1 and exp(d) is 0; there the two softplus differ by a lot and do not cancel.
    term.value = d > T(-1) ? std::log1p(kept * std::expm1(d)) : softplus(d - pi) - softplus(-pi);
    const T share = sigmoid(d - pi);  // posterior probability that the zero is not a dropout
    term.d_mu *= share;
    term.d_theta *= share;
    term.d_pi = kept - share;
    return term;
  }
};

struct PoissonKernel {
  static constexpr bool has_theta = false;
  static constexpr bool has_pi = false;

  template <class T>
  static CountTerm<T> evaluate(T x, T mu, T /*theta*/, T /*pi*/) {
    using count_detail::tiny;
    CountTerm<T> term;
    const double c = x, m = std::max<double>(mu, tiny);
    term.value = static_cast<T>((x == T(0) ? 0.0 : c * std::log(m) - log_factorial(c)) - m);
    term.d_mu = static_cast<T>(c / m - 1.0);
    return term;
  }
};

}  // namespace rscvi
