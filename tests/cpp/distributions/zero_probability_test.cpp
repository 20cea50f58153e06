#include "core/distributions/zero_probability.h"

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/instruction_set.h"
#include "test.h"

using namespace rscvi;

TEST_CASE("zero probability: that of the negative binomial, with every instruction set and any number of genes") {
  std::vector<float> mu, theta;
  for (const float m : {0.0f, 1e-6f, 0.03f, 1.0f, 12.5f, 300.0f, 1e8f}) {
    for (const float t : {1e-8f, 1e-3f, 0.4f, 1.0f, 55.0f, 1e6f, 1e20f}) {
      mu.push_back(m);
      theta.push_back(t);
    }
  }
  for (const InstructionSet set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
    const InstructionSetScope scope(set);
    for (const std::size_t n : {std::size_t{1}, std::size_t{5}, mu.size()}) {
      std::vector<double> p(n + 1, -1);
      nb_zero_probabilities(static_cast<std::int64_t>(n), mu.data(), theta.data(), p.data());
      CHECK(p[n] == -1);
      for (std::size_t k = 0; k < n; ++k) {
        CAPTURE(mu[k]);
        CAPTURE(theta[k]);
        const double exponent = double{theta[k]} * std::log1p(double{mu[k]} / double{theta[k]});
        if (exponent > 700) {
          CHECK(p[k] < 1e-300);
        } else {
          CHECK(std::abs(p[k] / std::exp(-exponent) - 1) < 1e-14 * (1 + exponent));
        }
      }
    }
  }
}

TEST_CASE("zero probability: NaN where the mean or theta is") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> mu = {nan, 1, 2}, theta = {1, nan, 3};
  std::vector<double> p(3);
  nb_zero_probabilities(3, mu.data(), theta.data(), p.data());
  CHECK(std::isnan(p[0]));
  CHECK(std::isnan(p[1]));
  CHECK(p[2] == doctest::Approx(std::pow(1 + 2.0 / 3, -3)));
}
