#include "core/distributions/counts.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

#include "core/base/instruction_set.h"
#include "core/distributions/fused_likelihood.h"
#include "core/distributions/count_kernels.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr CountDistribution all_distributions[] = {CountDistribution::zinb, CountDistribution::nb,
                                                   CountDistribution::poisson};
constexpr InstructionSet all_sets[] = {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512};

struct Inputs {
  at::Tensor x;
  CountLogits logits;
};

constexpr at::Tensor CountLogits::*all_parameters[] = {&CountLogits::scale,      &CountLogits::log_library,
                                                       &CountLogits::log_theta,  &CountLogits::dropout,
                                                       &CountLogits::scale_bias, &CountLogits::dropout_bias};

// Counts of which two thirds are 0, the rest from 1 to beyond 50; theta from 1e-4 to 4000, logits of dropout from -7
// to 7.
Inputs make_inputs(std::int64_t n_cells, std::int64_t n_genes, bool theta_by_cell, at::ScalarType type) {
  RandomStream random(3);
  const auto draw = [&](at::IntArrayRef sizes, double bound) { return random.uniform(sizes, bound).to(at::kDouble); };
  Inputs in;
  in.logits.scale_bias = draw({n_genes}, 1.5);
  in.logits.dropout_bias = draw({n_genes}, 1);
  in.logits.scale = draw({n_cells, n_genes}, 2.5);
  in.logits.log_library = draw({n_cells, 1}, 1) + std::log(3.0 * static_cast<double>(n_genes));
  const at::Tensor mu = at::exp(in.logits.log_library) * at::softmax(in.logits.scale + in.logits.scale_bias, -1);
  in.x = (mu * at::exp(draw({n_cells, n_genes}, 1.0)) + draw({n_cells, n_genes}, 1).abs()).round();
  in.x = in.x.masked_fill(draw({n_cells, n_genes}, 3) < 1, 0);
  in.logits.log_theta = theta_by_cell ? draw({n_cells, n_genes}, 9) - 0.5 : draw({n_genes}, 9) - 0.5;
  in.logits.dropout = draw({n_cells, n_genes}, 6);
  for (const auto parameter : all_parameters) in.logits.*parameter = (in.logits.*parameter).to(type);
  return in;
}

at::Tensor value_of(CountDistribution distribution, const Inputs& in, bool fused = true) {
  return log_likelihood(distribution, in.x, in.logits, fused);
}

// Gradients of sum_b weight_b log p(x_b) with different weights, so that a mix-up of cells shows.
CountLogits gradients_of(CountDistribution distribution, Inputs in, bool fused) {
  for (const auto parameter : all_parameters) {
    in.logits.*parameter = (in.logits.*parameter).detach().clone().set_requires_grad(true);
  }
  const at::Tensor weight = at::linspace(0.5, 2.0, in.x.size(0), in.logits.scale.options().requires_grad(false));
  (value_of(distribution, in, fused) * weight).sum().backward();
  CountLogits out;
  for (const auto parameter : all_parameters) out.*parameter = (in.logits.*parameter).grad();
  return out;
}

double largest_difference(const CountLogits& a, const CountLogits& b) {
  double largest = 0;
  for (const auto parameter : all_parameters) {
    REQUIRE((a.*parameter).defined() == (b.*parameter).defined());
    if ((a.*parameter).defined()) largest = std::max(largest, max_relative_difference(a.*parameter, b.*parameter));
  }
  return largest;
}

bool same_bits(const CountLogits& a, const CountLogits& b) {
  for (const auto parameter : all_parameters) {
    if ((a.*parameter).defined() && !rscvi::test::same_bits(a.*parameter, b.*parameter)) return false;
  }
  return true;
}

// The sum over genes of the scalar kernels, in double.
template <class Kernel>
at::Tensor by_entry(const Inputs& in) {
  const std::int64_t n = in.x.size(0), n_genes = in.x.size(1);
  const auto wide = [&](const at::Tensor& tensor) { return values_of(tensor.to(at::kDouble).expand({n, n_genes})); };
  const CountLogits& l = in.logits;
  const auto in_double = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
  const at::Tensor share = at::softmax(in_double(l.scale) + in_double(l.scale_bias), -1);
  const std::vector<double> mu = wide(at::exp(in_double(l.log_library)) * share);
  const std::vector<double> x = wide(in.x), theta = wide(at::exp(in_double(l.log_theta)));
  const std::vector<double> pi = wide(in_double(l.dropout) + in_double(l.dropout_bias));
  std::vector<double> sum(n, 0.0);
  for (std::int64_t k = 0; k < n * n_genes; ++k) {
    sum[k / n_genes] += Kernel::evaluate(x[k], mu[k], theta[k], pi[k]).value;
  }
  return at::tensor(sum, at::kDouble);
}

at::Tensor by_entry(CountDistribution distribution, const Inputs& in) {
  switch (distribution) {
    case CountDistribution::zinb: return by_entry<ZeroInflatedNegativeBinomialKernel>(in);
    case CountDistribution::nb: return by_entry<NegativeBinomialKernel>(in);
    default: return by_entry<PoissonKernel>(in);
  }
}

template <class Check>
void for_each_kind(const Check& check) {
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    for (const bool theta_by_cell : {false, true}) {
      for (const CountDistribution distribution : all_distributions) {
        CAPTURE(static_cast<int>(set));
        CAPTURE(theta_by_cell);
        CAPTURE(static_cast<int>(distribution));
        check(distribution, theta_by_cell);
      }
    }
  }
}

}  // namespace

TEST_CASE("counts: the fused pass is the sum over genes of the scalar kernels, on every instruction set") {
  for_each_kind([](CountDistribution distribution, bool theta_by_cell) {
    const Inputs in = make_inputs(9, 61, theta_by_cell, at::kDouble);
    CHECK(max_relative_difference(value_of(distribution, in), by_entry(distribution, in)) < 1e-13);
    Inputs single = in;
    for (const auto parameter : all_parameters) single.logits.*parameter = (in.logits.*parameter).to(at::kFloat);
    CHECK(max_relative_difference(value_of(distribution, single), by_entry(distribution, single)) < 1e-6);
  });
}

TEST_CASE("counts: the value is the same whether gradients are asked for or not") {
  for_each_kind([](CountDistribution distribution, bool theta_by_cell) {
    Inputs in = make_inputs(9, 61, theta_by_cell, at::kDouble);
    const at::Tensor alone = value_of(distribution, in);
    in.logits.scale = in.logits.scale.clone().set_requires_grad(true);
    CHECK(max_relative_difference(alone, value_of(distribution, in).detach()) < 1e-14);
  });
}

TEST_CASE("counts: fused gradients equal finite differences in double") {
  constexpr double h = 1e-5;  // relative to the parameter
  for_each_kind([](CountDistribution distribution, bool theta_by_cell) {
    const Inputs in = make_inputs(4, 11, theta_by_cell, at::kDouble);
    const CountLogits gradient = gradients_of(distribution, in, true);
    const at::Tensor weight = at::linspace(0.5, 2.0, 4, at::kDouble);
    for (const auto parameter : all_parameters) {
      if (!(gradient.*parameter).defined()) continue;
      const at::Tensor& start = in.logits.*parameter;
      const at::Tensor expected = at::empty_like(start);
      for (std::int64_t k = 0; k < expected.numel(); ++k) {
        Inputs up = in, down = in;
        const double step = h * (1 + std::abs(values_of(start)[k]));
        up.logits.*parameter = start.clone();
        down.logits.*parameter = start.clone();
        (up.logits.*parameter).view(-1)[k] += step;
        (down.logits.*parameter).view(-1)[k] -= step;
        expected.view(-1)[k] =
            ((value_of(distribution, up) - value_of(distribution, down)) * weight).sum() / (2 * step);
      }
      CHECK(max_relative_difference(gradient.*parameter, expected) < 1e-7);
    }
  });
}

TEST_CASE("counts: the fused pass equals the composed one, values and gradients") {
  struct Example {
    at::ScalarType type;
    double tolerance, tolerance_of_gradients;
  };
  for (const Example& example : {Example{at::kDouble, 1e-10, 1e-9}, Example{at::kFloat, 1e-5, 1e-4}}) {
    for_each_kind([&](CountDistribution distribution, bool theta_by_cell) {
      const Inputs in = make_inputs(23, 31, theta_by_cell, example.type);
      const at::Tensor fused = value_of(distribution, in), composed = value_of(distribution, in, /*fused=*/false);
      CHECK(fused.dtype() == example.type);
      CHECK(max_relative_difference(fused, composed) < example.tolerance);
      CountLogits a = gradients_of(distribution, in, true), b = gradients_of(distribution, in, false);
      if (distribution == CountDistribution::poisson) a.log_theta = b.log_theta = at::Tensor();
      CHECK(largest_difference(a, b) < example.tolerance_of_gradients);
    });
  }
}

TEST_CASE("counts: hostile parameters give finite values and gradients") {
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    for (const double scale : {-200.0, 0.0, 200.0}) {
      for (const double log_theta : {-100.0, -15.0, 0.0, 15.0, 80.0}) {
        for (const double dropout : {-1e30, -88.0, 0.0, 88.0, 1e30}) {
          for (const double log_library : {-20.0, 5.0, 20.0}) {
            Inputs in;
            in.x = at::tensor({0.0, 1.0, 8.0, 9.0, 1e6, 0.0}).view({1, 6});
            in.logits = {at::tensor({0.0, scale, 0.0, 1.0, 2.0, scale}, at::kFloat).view({1, 6}),
                         at::full({1, 1}, log_library, at::kFloat), at::full({6}, log_theta, at::kFloat),
                         at::full({1, 6}, dropout, at::kFloat),
                         at::full({6}, 0.5, at::kFloat),
                         at::full({6}, 0.5, at::kFloat)};
            CAPTURE(scale);
            CAPTURE(log_theta);
            CAPTURE(dropout);
            CAPTURE(log_library);
            for (const CountDistribution distribution : all_distributions) {
              CAPTURE(static_cast<int>(distribution));
              CHECK(at::isfinite(value_of(distribution, in)).all().item<bool>());
              const CountLogits gradient = gradients_of(distribution, in, true);
              for (const auto parameter : all_parameters) {
                if (!(gradient.*parameter).defined()) continue;
                CHECK(at::isfinite(gradient.*parameter).all().item<bool>());
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("counts: wherever the largest logit is, and however far above the first ones") {
  for_each_kind([](CountDistribution distribution, bool theta_by_cell) {
    // 40: the first ones still count; 60: past what one pass can add up; 100: alone. In gene 0, behind all that a pass
    // looks at first, and in the last, incomplete vector.
    for (const double above : {40.0, 60.0, 100.0}) {
      for (const std::int64_t gene : {0, 150, 204}) {
        for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
          Inputs in = make_inputs(3, 205, theta_by_cell, type);
          in.logits.scale.select(1, gene) += above;
          const double tolerance = type == at::kFloat ? 2e-6 : 1e-12;
          CHECK(max_relative_difference(value_of(distribution, in), by_entry(distribution, in)) < tolerance);
          const CountLogits fused = gradients_of(distribution, in, true);
          CHECK(at::isfinite(fused.scale).all().item<bool>());
          // Beyond, a Poisson count of such a small mean has no slope in the composed one.
          if (type == at::kFloat || above > 60) continue;
          CHECK(largest_difference(fused, gradients_of(distribution, in, false)) < 1e-6);
        }
      }
    }
  });
}

TEST_CASE("counts: a library or a logit that is not finite leaves no finite value, with gradients or without") {
  constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for_each_kind([](CountDistribution distribution, bool theta_by_cell) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const Inputs in = make_inputs(3, 205, theta_by_cell, type);
      const auto is_finite = [&](at::Tensor CountLogits::*parameter, std::int64_t column, double value) {
        Inputs broken = in;
        for (const auto each : all_parameters) broken.logits.*each = (in.logits.*each).clone();
        (broken.logits.*parameter).select(1, column).fill_(value);
        const at::Tensor values = value_of(distribution, broken);
        broken.logits.scale.requires_grad_(true);
        const at::Tensor with_gradients = value_of(distribution, broken).detach();
        CHECK(at::isfinite(values).any().item<bool>() == at::isfinite(with_gradients).any().item<bool>());
        return at::isfinite(values).any().item<bool>();
      };
      for (const double library : {1e4, infinity, nan}) CHECK_FALSE(is_finite(&CountLogits::log_library, 0, library));
      for (const std::int64_t gene : {0, 150, 204}) {
        CHECK_FALSE(is_finite(&CountLogits::scale, gene, infinity));
        CHECK_FALSE(is_finite(&CountLogits::scale, gene, nan));
      }
    }
  });
}

TEST_CASE("counts: a share that underflows is exactly 0, and a count there is what the scalar kernels make of it") {
  Inputs in = make_inputs(5, 37, /*theta_by_cell=*/false, at::kDouble);
  in.logits.scale.select(1, 3).fill_(-2000);
  in.x.select(1, 3).copy_(at::tensor({0.0, 1.0, 2.0, 0.0, 30.0}));
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    for (const CountDistribution distribution : {CountDistribution::zinb, CountDistribution::nb}) {
      CHECK(max_relative_difference(value_of(distribution, in), by_entry(distribution, in)) < 1e-13);
    }
    const at::NoGradGuard no_grad;
    const at::Tensor share = expected_shares(in.logits.scale.to(at::kFloat), in.logits.scale_bias.to(at::kFloat));
    CHECK(share.select(1, 3).eq(0).all().item<bool>());
  }
}

TEST_CASE("counts: fractions and explicit zeros are what the scalar kernels make of them") {
  Inputs in = make_inputs(5, 37, /*theta_by_cell=*/false, at::kDouble);
  in.x = at::where(in.x > 2, in.x + 0.5, in.x);
  CsrBlock rows = CellMatrix(in.x).rows();
  for (const CountDistribution distribution : all_distributions) {
    CHECK(max_relative_difference(value_of(distribution, in), by_entry(distribution, in)) < 1e-13);
    rows.value[3] = 0;
    Inputs with_zero = in;
    with_zero.x = CellMatrix(rows, 37).dense().to(at::kDouble);
    CHECK(same_bits(log_likelihood(distribution, CellMatrix(rows, 37), in.logits), value_of(distribution, with_zero)));
  }
}

TEST_CASE("counts: of several draws a cell, wherever a thread begins, too") {
  const int n_threads = at::get_num_threads();
  constexpr std::int64_t n_cells = 41, n_draws = 13;
  for (const bool theta_by_row : {false, true}) {
    const Inputs in = make_inputs(n_cells * n_draws, 90, theta_by_row, at::kFloat);
    const CellMatrix cells = in.x.narrow(0, 0, n_cells);
    for (const bool theta_of_cells : {false, theta_by_row}) {
      CountLogits logits = in.logits;
      if (theta_of_cells) logits.log_theta = logits.log_theta.narrow(0, 0, n_cells);
      for (const CountDistribution distribution : all_distributions) {
        at::set_num_threads(1);
        const at::Tensor serial = log_likelihood(distribution, cells, logits);
        at::set_num_threads(3);
        CHECK(same_bits(log_likelihood(distribution, cells, logits), serial));
      }
    }
  }
  at::set_num_threads(n_threads);
}

TEST_CASE("counts: several draws of each cell are each what they are alone") {
  const Inputs in = make_inputs(12, 19, /*theta_by_cell=*/true, at::kDouble);
  const CellMatrix cells = in.x.narrow(0, 0, 4);
  const auto part = [](const at::Tensor& tensor, std::int64_t k) { return tensor.narrow(0, 4 * k, 4); };
  for (const CountDistribution distribution : all_distributions) {
    for (const bool fused : {true, false}) {
      CountLogits theta_of_cells = in.logits;
      theta_of_cells.log_theta = in.logits.log_theta.narrow(0, 0, 4);
      const at::Tensor all = log_likelihood(distribution, cells, theta_of_cells, fused);
      for (std::int64_t k = 0; k < 3; ++k) {
        const CountLogits one = {part(in.logits.scale, k), part(in.logits.log_library, k), theta_of_cells.log_theta,
                                 part(in.logits.dropout, k), in.logits.scale_bias, in.logits.dropout_bias};
        CHECK(max_relative_difference(part(all, k), log_likelihood(distribution, cells, one, fused)) < 1e-14);
      }
    }
  }
}

TEST_CASE("counts: the entries' own log-probabilities are the scalar kernels'") {
  const Inputs in = make_inputs(6, 7, /*theta_by_cell=*/true, at::kDouble);
  const at::Tensor mu = at::exp(in.logits.log_library) * at::softmax(in.logits.scale + in.logits.scale_bias, -1);
  const at::Tensor theta = at::exp(in.logits.log_theta);
  for (const CountDistribution distribution : all_distributions) {
    const at::Tensor dropout = in.logits.dropout + in.logits.dropout_bias;
    const at::Tensor entries = log_probability(distribution, in.x, mu, theta, dropout);
    CHECK(entries.sizes() == in.x.sizes());
    CHECK(max_relative_difference(entries.sum(1), by_entry(distribution, in)) < 1e-14);
  }
}

TEST_CASE("counts: parameters that a distribution lacks may be undefined") {
  const Inputs in = make_inputs(6, 7, /*theta_by_cell=*/false, at::kFloat);
  const CountLogits& l = in.logits;
  const at::Tensor none;
  const CountLogits of_nb = {l.scale, l.log_library, l.log_theta, none, l.scale_bias};
  const CountLogits of_poisson = {l.scale, l.log_library, none, none, l.scale_bias};
  CHECK(same_bits(log_likelihood(CountDistribution::nb, in.x, of_nb), value_of(CountDistribution::nb, in)));
  CHECK(same_bits(log_likelihood(CountDistribution::poisson, in.x, of_poisson),
                  value_of(CountDistribution::poisson, in)));
}

TEST_CASE("counts: biases are what is added to every draw; none is 0") {
  Inputs in = make_inputs(6, 7, /*theta_by_cell=*/false, at::kDouble);
  Inputs added = in;
  added.logits.scale = in.logits.scale + in.logits.scale_bias;
  added.logits.dropout = in.logits.dropout + in.logits.dropout_bias;
  added.logits.scale_bias = added.logits.dropout_bias = at::Tensor();
  for (const CountDistribution distribution : all_distributions) {
    CHECK(max_relative_difference(value_of(distribution, in), value_of(distribution, added)) < 1e-14);
    CHECK(max_relative_difference(value_of(distribution, in, false), value_of(distribution, added, false)) < 1e-14);
  }
}

TEST_CASE("counts: one theta a gene is that theta in every cell, and its gradient their sum") {
  for (const CountDistribution distribution : {CountDistribution::zinb, CountDistribution::nb}) {
    const Inputs shared = make_inputs(6, 7, /*theta_by_cell=*/false, at::kDouble);
    Inputs spread = shared;
    spread.logits.log_theta = shared.logits.log_theta.expand({6, 7});
    CHECK(same_bits(value_of(distribution, shared), value_of(distribution, spread)));
    CHECK(max_relative_difference(gradients_of(distribution, shared, true).log_theta,
                                  gradients_of(distribution, spread, true).log_theta.sum(0)) < 1e-13);
  }
}

TEST_CASE("counts: memory layout does not matter") {
  const Inputs in = make_inputs(6, 7, /*theta_by_cell=*/true, at::kFloat);
  Inputs transposed = in;
  for (const auto parameter : all_parameters) {
    if ((in.logits.*parameter).dim() == 2) {
      transposed.logits.*parameter = (in.logits.*parameter).t().contiguous().t();
    }
  }
  for (const CountDistribution distribution : all_distributions) {
    CHECK(same_bits(value_of(distribution, in), value_of(distribution, transposed)));
  }
}

TEST_CASE("counts: gradients can be taken once") {
  Inputs in = make_inputs(6, 7, /*theta_by_cell=*/false, at::kFloat);
  in.logits.scale = in.logits.scale.clone().set_requires_grad(true);
  const at::Tensor sum = value_of(CountDistribution::zinb, in).sum();
  sum.backward({}, /*retain_graph=*/true);
  CHECK_THROWS_WITH(sum.backward(), doctest::Contains("taken already"));
}

TEST_CASE("counts: several threads give the bits of one") {
  const int n_threads = at::get_num_threads();
  const Inputs in = make_inputs(700, 90, /*theta_by_cell=*/true, at::kFloat);
  for (const CountDistribution distribution : all_distributions) {
    at::set_num_threads(1);
    const at::Tensor serial = value_of(distribution, in);
    const CountLogits serial_gradient = gradients_of(distribution, in, true);
    at::set_num_threads(3);
    CHECK(same_bits(value_of(distribution, in), serial));
    CHECK(same_bits(gradients_of(distribution, in, true), serial_gradient));
  }
  at::set_num_threads(n_threads);
}

TEST_CASE("counts: expected shares are the softmax of logits and bias, with and without gradients") {
  const Inputs in = make_inputs(9, 61, /*theta_by_cell=*/false, at::kFloat);
  const at::Tensor expected = at::softmax(in.logits.scale + in.logits.scale_bias, -1);
  CHECK(max_relative_difference(expected_shares(in.logits.scale, in.logits.scale_bias), expected) < 1e-6);
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    const at::NoGradGuard no_grad;
    CHECK(max_relative_difference(expected_shares(in.logits.scale.clone(), in.logits.scale_bias), expected) < 1e-6);
    CHECK(max_relative_difference(expected_shares(in.logits.scale.t().contiguous().t(), in.logits.scale_bias),
                                  expected) < 1e-6);
    CHECK(max_difference(expected_shares(in.logits.scale, at::Tensor()), at::softmax(in.logits.scale, -1)) < 1e-6);
  }
}

TEST_CASE("counts: the logarithm of a sum of exponentials, and shares by it, on every instruction set") {
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    for (const std::int64_t n_genes : {1, 7, 16, 33, 2000}) {
      at::Tensor logits = RandomStream(2).normal({40, n_genes}, c10::kCPU) * 5;
      logits[3] -= 1000;  // no exponential of it is a float
      logits[4] += 1000;
      const at::Tensor expected = at::logsumexp(logits.to(at::kDouble), {1}, /*keepdim=*/true);
      CHECK(max_relative_difference(log_sum_exp(logits.clone()).to(at::kDouble), expected) < 1e-6);
      const at::Tensor turned = log_sum_exp(logits.clone().t().contiguous().t());
      CHECK(max_relative_difference(turned.to(at::kDouble), expected) < 1e-6);
      CHECK(max_difference(log_sum_exp(logits.to(at::kDouble)), expected) < 1e-12);
      const at::Tensor by = expected.to(at::kFloat);
      CHECK(max_relative_difference(shares_in_place(logits.clone(), by), at::exp(logits - by)) < 1e-6);
      at::Tensor broken = logits.clone();
      broken[5][n_genes / 2] = std::nanf("");
      CHECK(at::isnan(log_sum_exp(broken.clone())).sum().item<std::int64_t>() == 1);
      CHECK(at::isnan(shares_in_place(broken.clone(), by)).sum().item<std::int64_t>() == 1);
      CHECK(max_relative_difference(shares_in_place(logits.clone().t().contiguous().t(), by), at::exp(logits - by)) <
            1e-6);
    }
  }
}
