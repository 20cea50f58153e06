#include "core/distributions/normal.h"

#include <cmath>

#include "core/base/random.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

double density(double x, double m, double v) {
  return std::exp(-(x - m) * (x - m) / (2 * v)) / std::sqrt(2 * std::acos(-1.0) * v);
}

// Trapezoidal rule over 10 standard deviations, where it is exact to rounding for a Gaussian integrand.
double kl_by_integration(double m, double v, double prior_m, double prior_v) {
  constexpr int n = 4000;
  const double sd = std::sqrt(v), h = 20 * sd / n;
  double sum = 0;
  for (int k = 0; k <= n; ++k) {
    const double x = m - 10 * sd + k * h, p = density(x, m, v);
    const double of_posterior = (x - m) * (x - m) / v, of_prior = (x - prior_m) * (x - prior_m) / prior_v;
    sum += p * 0.5 * (std::log(prior_v / v) - of_posterior + of_prior);
  }
  return sum * h;
}

at::Tensor row(const std::vector<double>& values) { return at::tensor(values, at::kDouble).view({1, -1}); }

}  // namespace

TEST_CASE("normal: KL divergences equal their integrals, summed over the last axis") {
  const std::vector<double> m = {0, -1.5, 2}, v = {1, 0.2, 3}, prior_m = {0, 1, 2.5}, prior_v = {1, 2, 0.5};
  double between = 0, to_standard = 0;
  for (std::size_t k = 0; k < m.size(); ++k) {
    between += kl_by_integration(m[k], v[k], prior_m[k], prior_v[k]);
    to_standard += kl_by_integration(m[k], v[k], 0, 1);
  }
  CHECK(kl_between_normals(row(m), row(v), row(prior_m), row(prior_v)).item<double>() ==
        doctest::Approx(between).epsilon(1e-10));
  CHECK(kl_to_standard_normal(row(m), row(v)).item<double>() == doctest::Approx(to_standard).epsilon(1e-10));
}

TEST_CASE("normal: a KL divergence is 0 between equals, and that to the standard normal is a special case") {
  const at::Tensor m = matrix(2, {0.3F, -2, 1, 0}), v = matrix(2, {0.5F, 2, 1, 4});
  CHECK(max_difference(kl_between_normals(m, v, m, v), at::zeros({2})) == 0);
  CHECK(max_difference(kl_between_normals(m, v, at::zeros_like(m), at::ones_like(v)), kl_to_standard_normal(m, v)) <
        1e-6);
  CHECK(kl_to_standard_normal(at::zeros({1, 3}), at::ones({1, 3})).item<float>() == 0);
}

TEST_CASE("normal: log density equals the density's logarithm") {
  CHECK(log_normal(row({0}), row({0}), row({1})).item<double>() == doctest::Approx(-0.91893853320467274));
  const double expected = std::log(density(1.2, -0.4, 0.7)) + std::log(density(-3, 1, 5));
  CHECK(log_normal(row({1.2, -3}), row({-0.4, 1}), row({0.7, 5})).item<double>() ==
        doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("normal: one pass over floats gives the values and gradients of operators in double") {
  RandomStream random(3);
  const auto draw = [&](bool positive) {
    const at::Tensor values = random.normal({5, 3}, c10::kCPU);
    return positive ? values.abs() + 0.3 : values;
  };
  const std::vector<at::Tensor> start = {draw(false), draw(true), draw(false), draw(true)};
  const at::Tensor noise = draw(false), by_row = at::arange(1, 6), by_entry = noise.cos();
  const auto gradients = [&](at::ScalarType type) {
    std::vector<at::Tensor> leaves, out;
    for (const at::Tensor& tensor : start) leaves.push_back(tensor.to(type).detach().clone());
    leaves[0].requires_grad_(true);
    leaves[1].requires_grad_(true);
    const at::Tensor variance = variance_above(leaves[0], 0.25);
    out = {variance, from_noise(leaves[0], leaves[1], noise.to(type)), kl_to_standard_normal(leaves[0], leaves[1]),
           kl_between_normals(leaves[0], leaves[1], leaves[2], leaves[3])};
    const std::vector<at::Tensor> values = out;
    for (const at::Tensor& value : values) {
      const at::Tensor weight = (value.dim() == 2 ? by_entry : by_row).to(type);
      for (const std::size_t k : {0, 1}) leaves[k].mutable_grad() = at::Tensor();
      (value * weight).sum().backward();
      for (const std::size_t k : {0, 1}) out.push_back(leaves[k].grad().defined() ? leaves[k].grad() : weight);
    }
    return out;
  };
  const auto floats = gradients(at::kFloat), doubles = gradients(at::kDouble);
  CHECK(floats.size() == 12);
  for (std::size_t k = 0; k < floats.size(); ++k) {
    CAPTURE(k);
    CHECK(floats[k].dtype() == at::kFloat);
    CHECK(max_relative_difference(floats[k].to(at::kDouble), doubles[k]) < 1e-6);
  }
}

TEST_CASE("normal: priors that need a gradient get one, and many draws of each mean are drawn at once") {
  const at::Tensor m = matrix(2, {0.3F, -2, 1, 0}), v = matrix(2, {0.5F, 2, 1, 4});
  const at::Tensor prior_m = at::zeros({2, 2}).requires_grad_(true);
  kl_between_normals(m, v, prior_m, at::ones({2, 2})).sum().backward();
  CHECK(max_difference(prior_m.grad(), -m) < 1e-6);
  const at::Tensor noise = at::ones({3, 2, 2});
  CHECK(max_difference(from_noise(m, v, noise), (m + at::sqrt(v)).expand({3, 2, 2})) < 1e-6);
}

TEST_CASE("normal: far below its floor, a variance still has the gradient of its exponential") {
  const at::Tensor log_variance = at::tensor({-16.0F, -40.0F}).view({1, 2}).requires_grad_(true);
  variance_above(log_variance, 1e-4).sum().backward();
  CHECK(max_difference(log_variance.grad() / at::exp(log_variance.detach()), at::ones({1, 2})) < 1e-6);
}

TEST_CASE("normal: over no dimension a divergence is 0") {
  const at::Tensor none = at::empty({3, 0});
  CHECK(same_bits(kl_to_standard_normal(none, none), at::zeros({3})));
}
