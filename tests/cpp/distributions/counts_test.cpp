#include "core/distributions/counts.h"

#include <ATen/Parallel.h>

#include "core/distributions/count_kernels.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr CountDistribution all_distributions[] = {CountDistribution::zinb, CountDistribution::nb,
                                                   CountDistribution::poisson};

struct Inputs {
  at::Tensor x, mu, theta, pi;
};

// Counts of which a third are 0; means from 0.05 to 50, theta from 0.02 to 400, logits from -6 to 6.
Inputs make_inputs(std::int64_t n_cells, std::int64_t n_genes, bool theta_by_cell, at::ScalarType type) {
  RandomStream random(3);
  const auto draw = [&](at::IntArrayRef sizes, double bound) { return random.uniform(sizes, bound).to(at::kDouble); };
  Inputs in;
  in.mu = at::exp(draw({n_cells, n_genes}, 3.5));
  in.x = (in.mu * at::exp(draw({n_cells, n_genes}, 1.0))).round();
  in.x = in.x.masked_fill(draw({n_cells, n_genes}, 3) < -1, 0);
  in.theta = at::exp(theta_by_cell ? draw({n_cells, n_genes}, 5) + 1 : draw({n_genes}, 5) + 1);
  in.pi = draw({n_cells, n_genes}, 6);
  for (at::Tensor* tensor : {&in.x, &in.mu, &in.theta, &in.pi}) *tensor = tensor->to(type);
  return in;
}

void require_gradients(Inputs& in) {
  for (at::Tensor* tensor : {&in.mu, &in.theta, &in.pi}) *tensor = tensor->detach().clone().set_requires_grad(true);
}

at::Tensor value_of(CountDistribution distribution, const Inputs& in, bool fused = true) {
  return log_likelihood(distribution, in.x, in.mu, in.theta, in.pi, fused);
}

// Gradients of sum_b weight_b log p(x_b) with different weights, so that a mix-up of cells shows.
Inputs gradients_of(CountDistribution distribution, Inputs in, bool fused) {
  require_gradients(in);
  const at::Tensor weight = at::linspace(0.5, 2.0, in.x.size(0), in.x.options());
  (value_of(distribution, in, fused) * weight).sum().backward();
  return {at::Tensor(), in.mu.grad(), in.theta.grad(), in.pi.grad()};
}

}  // namespace

TEST_CASE("counts: the fused pass equals the composed one, values and gradients") {
  struct Example {
    at::ScalarType type;
    double tolerance, tolerance_of_gradients;
  };
  for (const Example& example : {Example{at::kDouble, 1e-10, 1e-10}, Example{at::kFloat, 1e-5, 3e-5}}) {
    for (const bool theta_by_cell : {false, true}) {
      for (const CountDistribution distribution : all_distributions) {
        CAPTURE(theta_by_cell);
        CAPTURE(static_cast<int>(distribution));
        const Inputs in = make_inputs(23, 31, theta_by_cell, example.type);
        const at::Tensor fused = value_of(distribution, in), composed = value_of(distribution, in, /*fused=*/false);
        CHECK(fused.dtype() == example.type);
        CHECK(max_relative_difference(fused, composed) < example.tolerance);
        const Inputs a = gradients_of(distribution, in, true), b = gradients_of(distribution, in, false);
        CHECK(max_relative_difference(a.mu, b.mu) < example.tolerance_of_gradients);
        REQUIRE(a.theta.defined() == (distribution != CountDistribution::poisson));
        REQUIRE(a.pi.defined() == (distribution == CountDistribution::zinb));
        if (a.theta.defined()) CHECK(max_relative_difference(a.theta, b.theta) < example.tolerance_of_gradients);
        if (a.pi.defined()) CHECK(max_relative_difference(a.pi, b.pi) < example.tolerance_of_gradients);
      }
    }
  }
}

TEST_CASE("counts: fused gradients equal finite differences in double") {
  constexpr double h = 1e-5;  // relative to the parameter
  for (const bool theta_by_cell : {false, true}) {
    for (const CountDistribution distribution : all_distributions) {
      const Inputs in = make_inputs(4, 5, theta_by_cell, at::kDouble);
      const Inputs gradient = gradients_of(distribution, in, true);
      const at::Tensor weight = at::linspace(0.5, 2.0, 4, at::kDouble);
      for (at::Tensor Inputs::*parameter : {&Inputs::mu, &Inputs::theta, &Inputs::pi}) {
        if (!(gradient.*parameter).defined()) continue;
        const at::Tensor expected = at::empty_like(in.*parameter);
        for (std::int64_t k = 0; k < expected.numel(); ++k) {
          Inputs up = in, down = in;
          const double step = h * (1 + std::abs(values_of(in.*parameter)[k]));
          up.*parameter = (in.*parameter).clone();
          down.*parameter = (in.*parameter).clone();
          (up.*parameter).view(-1)[k] += step;
          (down.*parameter).view(-1)[k] -= step;
          expected.view(-1)[k] =
              ((value_of(distribution, up) - value_of(distribution, down)) * weight).sum() / (2 * step);
        }
        CHECK(max_relative_difference(gradient.*parameter, expected) < 1e-7);
      }
    }
  }
}

TEST_CASE("counts: the sum over genes of the kernels, entry by entry") {
  const Inputs in = make_inputs(6, 7, /*theta_by_cell=*/true, at::kDouble);
  const std::vector<double> x = values_of(in.x), mu = values_of(in.mu), theta = values_of(in.theta),
                            pi = values_of(in.pi);
  at::Tensor zinb = at::empty_like(in.x), nb = at::empty_like(in.x), poisson = at::empty_like(in.x);
  for (std::int64_t k = 0; k < in.x.numel(); ++k) {
    zinb.view(-1)[k] = ZeroInflatedNegativeBinomialKernel::evaluate(x[k], mu[k], theta[k], pi[k]).value;
    nb.view(-1)[k] = NegativeBinomialKernel::evaluate(x[k], mu[k], theta[k], 0.0).value;
    poisson.view(-1)[k] = PoissonKernel::evaluate(x[k], mu[k], 0.0, 0.0).value;
  }
  const auto entrywise = [&](CountDistribution d) { return log_probability(d, in.x, in.mu, in.theta, in.pi); };
  CHECK(same_bits(entrywise(CountDistribution::zinb), zinb));
  CHECK(same_bits(entrywise(CountDistribution::nb), nb));
  CHECK(same_bits(entrywise(CountDistribution::poisson), poisson));
  CHECK(max_relative_difference(value_of(CountDistribution::zinb, in), zinb.sum(1)) < 1e-14);
  CHECK(max_relative_difference(value_of(CountDistribution::nb, in), nb.sum(1)) < 1e-14);
  CHECK(max_relative_difference(value_of(CountDistribution::poisson, in), poisson.sum(1)) < 1e-14);
}

TEST_CASE("counts: parameters that a distribution lacks may be undefined") {
  const Inputs in = make_inputs(6, 7, /*theta_by_cell=*/false, at::kFloat);
  const at::Tensor none;
  CHECK(same_bits(log_likelihood(CountDistribution::nb, in.x, in.mu, in.theta, none),
                  value_of(CountDistribution::nb, in)));
  CHECK(same_bits(log_likelihood(CountDistribution::poisson, in.x, in.mu, none, none),
                  value_of(CountDistribution::poisson, in)));
  CHECK(same_bits(log_probability(CountDistribution::poisson, in.x, in.mu, none, none),
                  log_probability(CountDistribution::poisson, in.x, in.mu, in.theta, in.pi)));
}

TEST_CASE("counts: one theta a gene is that theta in every cell, and its gradient their sum") {
  for (const CountDistribution distribution : {CountDistribution::zinb, CountDistribution::nb}) {
    const Inputs shared = make_inputs(6, 7, /*theta_by_cell=*/false, at::kDouble);
    Inputs spread = shared;
    spread.theta = shared.theta.expand({6, 7});
    CHECK(same_bits(value_of(distribution, shared), value_of(distribution, spread)));
    CHECK(max_relative_difference(gradients_of(distribution, shared, true).theta,
                                  gradients_of(distribution, spread, true).theta.sum(0)) < 1e-13);
  }
}

TEST_CASE("counts: memory layout does not matter, nor whether gradients are recorded") {
  const Inputs in = make_inputs(6, 7, /*theta_by_cell=*/true, at::kFloat);
  Inputs transposed = in;
  for (at::Tensor* tensor : {&transposed.x, &transposed.mu, &transposed.theta, &transposed.pi}) {
    *tensor = tensor->t().contiguous().t();
  }
  for (const CountDistribution distribution : all_distributions) {
    CHECK(same_bits(value_of(distribution, in), value_of(distribution, transposed)));
    Inputs recording = in;
    require_gradients(recording);
    CHECK(same_bits(value_of(distribution, in), value_of(distribution, recording)));
  }
}

TEST_CASE("counts: several threads give the bits of one") {
  const int n_threads = at::get_num_threads();
  const Inputs in = make_inputs(700, 90, /*theta_by_cell=*/true, at::kFloat);
  for (const CountDistribution distribution : all_distributions) {
    at::set_num_threads(1);
    const at::Tensor serial = value_of(distribution, in);
    const Inputs serial_gradient = gradients_of(distribution, in, true);
    at::set_num_threads(3);
    CHECK(same_bits(value_of(distribution, in), serial));
    const Inputs gradient = gradients_of(distribution, in, true);
    CHECK(same_bits(gradient.mu, serial_gradient.mu));
    if (gradient.theta.defined()) CHECK(same_bits(gradient.theta, serial_gradient.theta));
    if (gradient.pi.defined()) CHECK(same_bits(gradient.pi, serial_gradient.pi));
  }
  at::set_num_threads(n_threads);
}
