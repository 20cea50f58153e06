#include "core/distributions/draws.h"

#include <ATen/Parallel.h>

#include <limits>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_draws = 200000;

at::Tensor repeated(double value, std::int64_t n = n_draws) { return at::full({n, 1}, value, at::kFloat); }
at::Tensor one(double value) { return at::full({1}, value, at::kFloat); }

// Upper quantile of the chi-square distribution for a standard normal quantile of 4: P = 3e-5 (Wilson & Hilferty 1931).
double chi_square_limit(double df) {
  constexpr double z = 4;
  const double spread = 2 / (9 * df);
  return df * std::pow(1 - spread + z * std::sqrt(spread), 3);
}

// Counts against the probabilities of log_probability(), values of too few expected draws taken together.
void check_counts(CountDistribution distribution, double mu, double theta, double pi) {
  CAPTURE(static_cast<int>(distribution));
  CAPTURE(mu);
  CAPTURE(theta);
  RandomStream random(7);
  const at::Tensor counts = draw_counts(distribution, repeated(mu), one(theta), repeated(pi), random);
  constexpr std::int64_t n_values = 40000;
  const auto parameter = [](double value) { return at::full({n_values}, value, at::kDouble); };
  const std::vector<double> p = values_of(at::exp(log_probability(
      distribution, at::arange(n_values, at::kDouble), parameter(mu), parameter(theta), parameter(pi))));
  const std::vector<double> observed = values_of(at::bincount(counts.view(-1).to(at::kLong), {}, n_values));
  REQUIRE(observed.size() == n_values);
  double statistic = 0, df = -1, expected_so_far = 0, observed_so_far = 0, covered = 0;
  for (std::int64_t value = 0; value < n_values; ++value) {
    expected_so_far += p[value] * n_draws;
    observed_so_far += observed[value];
    if (expected_so_far < 20) continue;
    statistic += std::pow(observed_so_far - expected_so_far, 2) / expected_so_far;
    covered += expected_so_far;
    df += 1;
    expected_so_far = observed_so_far = 0;
  }
  CHECK(covered > 0.999 * n_draws);
  CHECK(df >= 2);
  CHECK(statistic < chi_square_limit(df));
}

}  // namespace

TEST_CASE("draws: rates have the mean, variance and distribution of the gamma") {
  for (const double theta : {0.05, 0.7, 1.0, 30.0}) {
    for (const double mu : {0.01, 4.0, 2500.0}) {
      CAPTURE(theta);
      CAPTURE(mu);
      RandomStream random(3);
      const at::Tensor w = draw_rates(repeated(mu), one(theta), random).to(at::kDouble).view(-1);
      const double mean = w.mean().item<double>(), variance = w.var().item<double>();
      const double expected = mu * mu / theta;
      // Five standard errors; the gamma's fourth moment is variance^2 (3 + 6 / theta).
      CHECK(std::abs(mean - mu) < 5 * std::sqrt(expected / n_draws));
      CHECK(std::abs(variance - expected) < 5 * expected * std::sqrt((2 + 6 / theta) / n_draws));
      // Kolmogorov's statistic; P = 4e-6 at 2.5. Draws below the smallest float are that float, not less.
      const at::Tensor sorted = std::get<0>(w.sort());
      const at::Tensor cdf = at::special_gammainc(at::full_like(sorted, theta), sorted * (theta / mu));
      const at::Tensor empirical = at::arange(1, n_draws + 1, at::kDouble) / static_cast<double>(n_draws);
      const at::Tensor in_range = sorted > 1e-30 * mu / theta;
      CHECK((cdf - empirical).abs().masked_select(in_range).max().item<double>() * std::sqrt(n_draws) < 2.5);
    }
  }
}

TEST_CASE("draws: counts have the model's distribution") {
  // By inversion, and with a gamma's rate: for nb the second where mu is above 12 times P(x > 0).
  for (const double mu : {0.1, 3.0, 11.0, 60.0}) {
    check_counts(CountDistribution::poisson, mu, 1, 0);
    for (const double theta : {0.02, 0.2, 2.0, 500.0}) {
      check_counts(CountDistribution::nb, mu, theta, 0);
      check_counts(CountDistribution::zinb, mu, theta, -0.5);
    }
  }
}

TEST_CASE("draws: parameters at the edge of single precision give counts") {
  const double infinity = std::numeric_limits<double>::infinity();
  RandomStream random(1);
  const auto counts = [&](double mu, double theta) {
    return draw_counts(CountDistribution::nb, repeated(mu, 1000), one(theta), at::Tensor(), random);
  };
  for (const double theta : {0.0, 1e-38, 1.0, 1e30, infinity}) CHECK(counts(0, theta).abs().max().item<float>() == 0);
  for (const double theta : {0.0, 1e-38, 1e-20}) CHECK(counts(100, theta).abs().max().item<float>() == 0);
  // Without dispersion, Poisson: mean 100 and variance 100 within five standard errors.
  for (const double theta : {1e25, infinity}) {
    const at::Tensor x = counts(100, theta);
    CHECK(std::abs(x.mean().item<double>() - 100) < 5 * std::sqrt(100.0 / 1000));
    CHECK(std::abs(x.var().item<double>() - 100) < 5 * 100 * std::sqrt(2.0 / 1000));
  }
  const at::Tensor huge = counts(1e20, 10);
  CHECK(huge.max().item<double>() < 1.001e8);
  CHECK(huge.min().item<double>() > 0.999e8);
  const at::Tensor poisson = draw_counts(CountDistribution::poisson, repeated(infinity, 10), {}, {}, random);
  CHECK(poisson.max().item<double>() < 1.001e8);
}

TEST_CASE("draws: dropout zeroes counts, and no dropout leaves them") {
  RandomStream a(5), b(5);
  const at::Tensor mu = repeated(50, 20000), theta = one(20);
  const at::Tensor nb = draw_counts(CountDistribution::nb, mu, theta, at::Tensor(), a);
  const at::Tensor zinb = draw_counts(CountDistribution::zinb, mu, theta, repeated(1.5, 20000), b);
  CHECK((nb > 0).all().item<bool>());
  CHECK(((zinb == nb) | (zinb == 0)).all().item<bool>());
  const double p = 1 / (1 + std::exp(-1.5));
  CHECK(std::abs((zinb == 0).to(at::kDouble).mean().item<double>() - p) < 5 * std::sqrt(p * (1 - p) / 20000));
}

TEST_CASE("draws: a seed decides them, whatever the shape of theta or the number of threads") {
  const at::Tensor mu = at::linspace(0.1, 20, 3000 * 90).view({3000, 90});  // several pieces
  const at::Tensor theta = at::linspace(0.1, 5, 90);
  const auto draw = [&](std::uint64_t seed, const at::Tensor& shape) {
    RandomStream random(seed);
    return draw_counts(CountDistribution::nb, mu, shape, at::Tensor(), random);
  };
  const at::Tensor first = draw(1, theta);
  CHECK(same_bits(first, draw(1, theta)));
  CHECK(same_bits(first, draw(1, theta.expand_as(mu).contiguous())));
  CHECK(!same_bits(first, draw(2, theta)));
  const int threads = at::get_num_threads();
  for (const int n : {1, 3}) {
    at::set_num_threads(n);
    CHECK(same_bits(first, draw(1, theta)));
  }
  at::set_num_threads(threads);
  // Pieces are independent of each other: no two of them hold the same numbers.
  const at::Tensor same_mean = at::full({2 * 65536, 1}, 40.0);
  RandomStream random(1);
  const at::Tensor pieces = draw_rates(same_mean, one(2), random).view({2, 65536});
  const at::Tensor centred = pieces - pieces.mean(1, /*keepdim=*/true);
  const at::Tensor correlation = (centred[0] * centred[1]).mean() / (centred[0].std() * centred[1].std());
  CHECK(std::abs(correlation.item<double>()) < 5 / std::sqrt(65536.0));
}

TEST_CASE("draws: the global generator stays where it is") {
  const at::Generator global = at::globalContext().defaultGenerator(c10::Device(c10::kCPU));
  const at::Tensor before = global.get_state();
  RandomStream random(1);
  draw_counts(CountDistribution::zinb, repeated(3, 1000), one(1), repeated(0, 1000), random);
  CHECK(same_bits(before, global.get_state()));
}
