#include "core/distributions/samplers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>
#include <vector>

#include "test.h"

using namespace rscvi;

namespace {

constexpr int n_draws = 400000;

// Kolmogorov's statistic times sqrt(n): P = 4e-6 at 2.5.
template <class Cdf>
double kolmogorov(std::vector<double> draws, Cdf&& cdf) {
  std::sort(draws.begin(), draws.end());
  double worst = 0;
  const auto n = static_cast<double>(draws.size());
  for (std::size_t k = 0; k < draws.size(); ++k) {
    const double p = cdf(draws[k]);
    worst = std::max({worst, p - static_cast<double>(k) / n, static_cast<double>(k + 1) / n - p});
  }
  return worst * std::sqrt(n);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEST_CASE("samplers: normal draws have the normal distribution, tails beyond the ziggurat's base included") {
  Sampler sampler(1);
  std::vector<double> draws;
  int beyond = 0, far_beyond = 0, negative = 0;
  for (int k = 0; k < n_draws; ++k) {
    draws.push_back(sampler.normal());
    beyond += std::abs(draws.back()) > 3.442619855899;
    far_beyond += std::abs(draws.back()) > 4;
    negative += draws.back() < 0;
  }
  CHECK(kolmogorov(draws, normal_cdf) < 2.5);
  const auto within = [](int count, double p) {
    return std::abs(count - n_draws * p) < 5 * std::sqrt(n_draws * p * (1 - p));
  };
  CHECK(within(beyond, 2 * normal_cdf(-3.442619855899)));
  CHECK(within(far_beyond, 2 * normal_cdf(-4)));
  CHECK(within(negative, 0.5));
}

TEST_CASE("samplers: uniform draws fill (0, 1) and follow no other draw") {
  Sampler sampler(2);
  std::vector<double> draws;
  double product = 0;
  for (int k = 0; k < n_draws; ++k) {
    draws.push_back(sampler.uniform());
    if (k > 0) product += (draws[k] - 0.5) * (draws[k - 1] - 0.5);
  }
  CHECK(*std::min_element(draws.begin(), draws.end()) > 0);
  CHECK(*std::max_element(draws.begin(), draws.end()) < 1);
  CHECK(kolmogorov(draws, [](double x) { return x; }) < 2.5);
  CHECK(std::abs(12 * product / n_draws) < 5 / std::sqrt(n_draws));
}

TEST_CASE("samplers: gamma draws have the distribution, on both sides of 1 and far out") {
  for (const float shape : {0.02F, 0.5F, 0.99F, 1.0F, 3.0F, 250.0F, 1e6F}) {
    CAPTURE(shape);
    Sampler sampler(3);
    std::vector<double> draws;
    for (int k = 0; k < n_draws; ++k) draws.push_back(sampler.gamma(GammaShape(shape)));
    const at::Tensor x = std::get<0>(at::tensor(draws, at::kDouble).sort());
    const at::Tensor p = at::special_gammainc(at::full_like(x, static_cast<double>(shape)), x);
    const at::Tensor rank = at::arange(1, n_draws + 1, at::kDouble) / static_cast<double>(n_draws);
    // Draws below the smallest float are that float, not less.
    CHECK((p - rank).abs().masked_select(x > 1e-30).max().item<double>() * std::sqrt(n_draws) < 2.5);
  }
}

TEST_CASE("samplers: poisson draws have the distribution, around the change of method and with large means") {
  for (const float mean : {0.003F, 0.4F, 1.0F, 5.0F, 9.99F, 10.0F, 37.0F, 1000.0F}) {
    CAPTURE(mean);
    Sampler sampler(4);
    std::vector<double> count;
    for (int k = 0; k < n_draws; ++k) {
      const auto x = static_cast<std::size_t>(sampler.poisson(mean));
      if (x >= count.size()) count.resize(x + 1);
      ++count[x];
    }
    // Chi-square over values of at least 20 expected draws each; 4 standard normal units (Wilson & Hilferty 1931).
    double statistic = 0, df = -1, expected = 0, observed = 0;
    for (std::size_t x = 0; x < count.size(); ++x) {
      const double k = static_cast<double>(x);
      expected += n_draws * std::exp(k * std::log(mean) - mean - std::lgamma(k + 1));
      observed += count[x];
      if (expected < 20) continue;
      statistic += std::pow(observed - expected, 2) / expected;
      df += 1;
      expected = observed = 0;
    }
    REQUIRE(df >= 1);
    const double spread = 2 / (9 * df);
    CHECK(statistic < df * std::pow(1 - spread + 4 * std::sqrt(spread), 3));
  }
  Sampler sampler(5);
  double sum = 0;
  for (int k = 0; k < 10000; ++k) sum += sampler.poisson(1e7F) - 1e7;
  CHECK(std::abs(sum / 10000) < 5 * std::sqrt(1e7 / 10000));
  CHECK(sampler.poisson(0) == 0);
  CHECK(std::isnan(sampler.poisson(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("samplers: a seed decides the draws, and neighbouring seeds share none") {
  std::set<double> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Sampler a(seed), b(seed);
    for (int k = 0; k < 20; ++k) {
      const double u = a.uniform();
      CHECK(u == b.uniform());
      seen.insert(u);
    }
  }
  CHECK(seen.size() == 50 * 20);
}
