#include "core/distributions/count_kernels.h"

#include <functional>
#include <vector>

#include "test.h"

using namespace rscvi;

namespace {

// The formulas as they stand in the literature and in scvi 0.6.8, in extended precision.
using Real = long double;
constexpr Real eps = 1e-8L;

Real softplus(Real v) { return v > 0 ? v + std::log1p(std::exp(-v)) : std::log1p(std::exp(v)); }

Real log_nb(Real x, Real mu, Real theta) {
  const Real log_sum = std::log(theta + mu + eps);
  const Real at_zero = theta * (std::log(theta + eps) - log_sum);
  if (x == 0) return at_zero;
  return at_zero + x * (std::log(mu + eps) - log_sum) + std::lgamma(x + theta) - std::lgamma(theta) -
         std::lgamma(x + 1);
}

Real log_zinb(Real x, Real mu, Real theta, Real pi) {
  const Real a = -pi + theta * (std::log(theta + eps) - std::log(theta + mu + eps));
  return x == 0 ? softplus(a) - softplus(-pi) : log_nb(x, mu, theta) - softplus(pi);
}

Real log_poisson(Real x, Real mu) { return (x == 0 ? 0 : x * std::log(mu)) - mu - std::lgamma(x + 1); }

// Slope of f at `at` by central differences of fourth order.
double slope(const std::function<Real(Real)>& f, Real at, Real h) {
  return static_cast<double>((8 * (f(at + h) - f(at - h)) - (f(at + 2 * h) - f(at - 2 * h))) / (12 * h));
}

struct Point {
  double x, mu, theta, pi;
};

void for_each_point(const std::function<void(const Point&)>& visit) {
  for (const double x : {0.0, 1.0, 2.0, 7.0, 24.0, 25.0, 90.5, 3000.0}) {
    for (const double mu : {0.0, 1e-20, 1e-6, 0.02, 1.0, 13.0, 4000.0}) {
      for (const double theta : {1e-6, 1e-2, 0.8, 15.0, 17.0, 1e3, 1e5, 1e7}) {
        for (const double pi : {-50.0, -3.0, 0.0, 1.5, 50.0}) visit({x, mu, theta, pi});
      }
    }
  }
}

#define CAPTURE_POINT(point) \
  CAPTURE((point).x);        \
  CAPTURE((point).mu);       \
  CAPTURE((point).theta);    \
  CAPTURE((point).pi)

doctest::Approx near(double expected, double relative, double absolute) {
  return doctest::Approx(expected).epsilon(relative).scale(absolute / relative);
}

template <class Kernel>
double probability(double x, double mu, double theta, double pi = 0) {
  return std::exp(Kernel::evaluate(x, mu, theta, pi).value);
}

using Nb = NegativeBinomialKernel;
using Zinb = ZeroInflatedNegativeBinomialKernel;
using Poisson = PoissonKernel;

}  // namespace

TEST_CASE("count kernels: values equal the textbook formulas, in double to 1e-11") {
  for_each_point([](const Point& at) {
    CAPTURE_POINT(at);
    const auto nb = static_cast<double>(log_nb(at.x, at.mu, at.theta));
    const auto zinb = static_cast<double>(log_zinb(at.x, at.mu, at.theta, at.pi));
    CHECK(Nb::evaluate(at.x, at.mu, at.theta, 0.0).value == near(nb, 1e-12, 1e-10));
    CHECK(Zinb::evaluate(at.x, at.mu, at.theta, at.pi).value == near(zinb, 1e-12, 1e-10));
    if (at.mu == 0) return;
    CHECK(Poisson::evaluate(at.x, at.mu, 0.0, 0.0).value ==
          near(static_cast<double>(log_poisson(at.x, at.mu)), 1e-12, 1e-12));
  });
}

TEST_CASE("count kernels: float costs no more than the rounding of a float") {
  for_each_point([](const Point& at) {
    CAPTURE_POINT(at);
    const auto x = static_cast<float>(at.x), mu = static_cast<float>(at.mu), theta = static_cast<float>(at.theta),
               pi = static_cast<float>(at.pi);
    // Near pi = -50 a zero's value is a difference of two numbers of size 50.
    CHECK(Zinb::evaluate(x, mu, theta, pi).value ==
          near(static_cast<double>(log_zinb(x, mu, theta, pi)), 1e-6, 4e-6));
    CHECK(Nb::evaluate(x, mu, theta, 0.0F).value == near(static_cast<double>(log_nb(x, mu, theta)), 1e-6, 1e-10));
  });
}

TEST_CASE("count kernels: derivatives equal finite differences of the textbook formulas") {
  for_each_point([](const Point& at) {
    CAPTURE_POINT(at);
    const Real x = at.x, mu = at.mu, theta = at.theta, pi = at.pi;
    // ln(mu + eps) is in the formula of a positive count alone; a step as small as that one needs drowns in rounding.
    const Real h_mu = 1e-3L * (x > 0 ? mu + eps : std::min(1.0L, mu + theta)), h_theta = 1e-3L * theta, h_pi = 1e-3L;
    const CountTerm<double> nb = Nb::evaluate(at.x, at.mu, at.theta, 0.0);
    const CountTerm<double> zinb = Zinb::evaluate(at.x, at.mu, at.theta, at.pi);
    CHECK(nb.d_mu == near(slope([&](Real v) { return log_nb(x, v, theta); }, mu, h_mu), 1e-8, 3e-8));
    CHECK(nb.d_theta == near(slope([&](Real v) { return log_nb(x, mu, v); }, theta, h_theta), 1e-8, 1e-9));
    CHECK(nb.d_pi == 0);
    CHECK(zinb.d_mu == near(slope([&](Real v) { return log_zinb(x, v, theta, pi); }, mu, h_mu), 1e-8, 3e-8));
    CHECK(zinb.d_theta == near(slope([&](Real v) { return log_zinb(x, mu, v, pi); }, theta, h_theta), 1e-8, 1e-9));
    CHECK(zinb.d_pi == near(slope([&](Real v) { return log_zinb(x, mu, theta, v); }, pi, h_pi), 1e-8, 1e-12));
    if (at.mu == 0) return;
    const CountTerm<double> poisson = Poisson::evaluate(at.x, at.mu, 0.0, 0.0);
    CHECK(poisson.d_mu == near(slope([&](Real v) { return log_poisson(x, v); }, mu, 1e-3L * mu), 1e-8, 1e-12));
    CHECK(poisson.d_theta == 0);
    CHECK(poisson.d_pi == 0);
  });
}

TEST_CASE("count kernels: without dropouts ZINB is NB, with nothing but dropouts it is 0 or impossible") {
  for (const double x : {0.0, 1.0, 30.0}) {
    for (const double mu : {0.1, 5.0}) {
      const CountTerm<double> nb = Nb::evaluate(x, mu, 2.0, 0.0), zinb = Zinb::evaluate(x, mu, 2.0, -700.0);
      CHECK(zinb.value == near(nb.value, 1e-12, 1e-12));
      CHECK(zinb.d_mu == near(nb.d_mu, 1e-12, 1e-12));
      CHECK(zinb.d_theta == near(nb.d_theta, 1e-12, 1e-12));
      CHECK(probability<Zinb>(x, mu, 2.0, 700.0) == doctest::Approx(x == 0 ? 1 : 0));
    }
  }
}

TEST_CASE("count kernels: NB with an enormous theta is Poisson, in float too") {
  for (const double x : {0.0, 1.0, 8.0, 24.0, 25.0, 60.0}) {
    for (const double mu : {0.5, 10.0, 40.0}) {
      CAPTURE(x);
      CAPTURE(mu);
      const double expected = Poisson::evaluate(x, mu, 0.0, 0.0).value;
      CHECK(Nb::evaluate(x, mu, 1e12, 0.0).value == near(expected, 1e-9, 2e-6));
      const auto float_x = static_cast<float>(x), float_mu = static_cast<float>(mu);
      CHECK(Nb::evaluate(float_x, float_mu, 1e12F, 0.0F).value == near(expected, 1e-6, 2e-6));
    }
  }
}

TEST_CASE("count kernels: probabilities sum to 1 and have the mean and variance that they are named for") {
  for (const double mu : {0.3, 4.0}) {
    for (const double theta : {0.4, 3.0, 50.0}) {
      for (const double pi : {-1.0, 2.0}) {
        double nb = 0, zinb = 0, poisson = 0, mean = 0, second_moment = 0;
        for (double x = 0; x < 600; ++x) {
          const double p = probability<Nb>(x, mu, theta);
          nb += p;
          mean += p * x;
          second_moment += p * x * x;
          zinb += probability<Zinb>(x, mu, theta, pi);
          poisson += probability<Poisson>(x, mu, theta);
        }
        // scvi's eps = 1e-8 takes part in the formulas, so the sums are 1 to about that.
        CHECK(nb == near(1, 1e-6, 0));
        CHECK(zinb == near(1, 1e-6, 0));
        CHECK(poisson == near(1, 1e-12, 0));
        CHECK(mean == near(mu, 1e-6, 0));
        CHECK(second_moment - mean * mean == near(mu + mu * mu / theta, 1e-6, 0));
      }
    }
  }
}

TEST_CASE_TEMPLATE("count kernels: finite input never gives NaN", T, float, double) {
  for (const double x : {0.0, 1.0, 25.0, 1e6}) {
    for (const double mu : {0.0, 1e-38, 1e-9, 1.0, 1e10, 1e30}) {
      for (const double theta : {0.0, 1e-38, 1e-9, 1.0, 1e10, 1e30}) {
        for (const double pi : {-1e30, -88.0, 0.0, 88.0, 1e30}) {
          CAPTURE_POINT((Point{x, mu, theta, pi}));
          const auto c = static_cast<T>(x), m = static_cast<T>(mu), r = static_cast<T>(theta), l = static_cast<T>(pi);
          for (const CountTerm<T>& term : {Nb::evaluate(c, m, r, l), Zinb::evaluate(c, m, r, l),
                                           Poisson::evaluate(c, m, r, l)}) {
            CHECK(std::isfinite(term.value));
            CHECK(std::isfinite(term.d_mu));
            CHECK(std::isfinite(term.d_theta));
            CHECK(std::isfinite(term.d_pi));
          }
        }
      }
    }
  }
}

TEST_CASE("count kernels: a rate or dispersion of exactly 0 is what a tiny one is") {
  for (const float x : {0.0F, 1.0F, 5.0F}) {
    const CountTerm<float> zero = Nb::evaluate(x, 2.0F, 0.0F, 0.0F), tiny = Nb::evaluate(x, 2.0F, 1e-30F, 0.0F);
    CHECK(zero.value == doctest::Approx(tiny.value));
    CHECK(Nb::evaluate(x, 0.0F, 1.0F, 0.0F).value == doctest::Approx(Nb::evaluate(x, 1e-20F, 1.0F, 0.0F).value));
    CHECK(Poisson::evaluate(x, 0.0F, 0.0F, 0.0F).value ==
          doctest::Approx(Poisson::evaluate(x, 1e-30F, 0.0F, 0.0F).value));
  }
}
