#include "core/nn/hidden_units.h"

#include <cmath>

#include "core/base/instruction_set.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr double momentum = 0.3, eps = 0.01;

at::Tensor leaf(const at::Tensor& tensor) { return tensor.detach().clone().requires_grad_(true); }

struct Layer {
  explicit Layer(std::int64_t n_units) {
    RandomStream random(4);
    const auto draw = [&] { return random.normal({n_units}, c10::kCPU); };
    norm = {leaf(draw() + 0.5), leaf(draw()), draw(), draw().square() + 0.2, momentum, eps};
  }
  BatchNormalisation norm;
};

at::Tensor cells(std::int64_t n_cells, std::int64_t n_units) {
  return RandomStream(77).normal({n_cells, n_units}, c10::kCPU) * 3 + 2;
}

// Output, gradients and running statistics, by one of the two ways.
std::vector<at::Tensor> results(bool fused, const at::Tensor& input, bool is_training, double dropout_rate) {
  Layer layer(input.size(1));
  const at::Tensor x = leaf(input);
  RandomStream random(5);
  const auto way = fused ? hidden_units : hidden_units_by_operators;
  const at::Tensor y = way(x, layer.norm, is_training, dropout_rate, random);
  (y * at::cos(at::arange(y.numel()).view_as(y))).sum().backward();
  return {y, x.grad(), layer.norm.weight.grad(), layer.norm.bias.grad(), layer.norm.running_mean,
          layer.norm.running_var};
}

}  // namespace

TEST_CASE("hidden units: one pass gives what LibTorch's operators give, in training and evaluation, dropout included") {
  // Units and cells that do and do not fill a vector; enough for a second thread.
  const std::vector<std::pair<std::int64_t, std::int64_t>> sizes = {{2, 1},     {3, 16},   {7, 5},
                                                                    {128, 128}, {130, 49}, {601, 200}};
  for (const InstructionSet set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
    const InstructionSetScope scope(set);
    for (const auto& size : sizes) {
      for (const bool is_training : {true, false}) {
        for (const double dropout_rate : {0.0, 0.3}) {
          const at::Tensor x = cells(size.first, size.second);
          const auto fused = results(true, x, is_training, dropout_rate);
          const auto expected = results(false, x, is_training, dropout_rate);
          for (std::size_t k = 0; k < fused.size(); ++k) {
            CAPTURE(k);
            CHECK(max_relative_difference(fused[k], expected[k]) < (k < 4 ? 2e-4 : 1e-5));
          }
        }
      }
    }
  }
}

TEST_CASE("hidden units: many cells whose units are far from zero lose no digits") {
  const at::Tensor x = cells(20000, 3) * 0.01 + 50;
  const auto got = results(true, x, true, 0);
  const at::Tensor exact = x.to(at::kDouble), mean = exact.mean(0);
  const Layer start(3);
  CHECK(max_difference(got[4], (0.7 * start.norm.running_mean + 0.3 * mean).to(at::kFloat)) < 2e-5);
  const at::Tensor variance = exact.var(0, /*unbiased=*/true);
  CHECK(max_relative_difference(got[5], (0.7 * start.norm.running_var + 0.3 * variance).to(at::kFloat)) < 1e-6);
}

TEST_CASE("hidden units: double precision stays double, and agrees") {
  Layer layer(6);
  BatchNormalisation norm = {layer.norm.weight.to(at::kDouble), layer.norm.bias.to(at::kDouble),
                             layer.norm.running_mean.to(at::kDouble), layer.norm.running_var.to(at::kDouble), momentum,
                             eps};
  const at::Tensor x = cells(9, 6);
  RandomStream random(1);
  const at::Tensor in_double = hidden_units(x.to(at::kDouble), norm, true, 0, random);
  CHECK(in_double.dtype() == at::kDouble);
  CHECK(max_difference(in_double.to(at::kFloat), hidden_units(x, layer.norm, true, 0, random)) < 1e-5);
}

TEST_CASE("hidden units: a NaN in a cell reaches the output") {
  at::Tensor x = cells(8, 4);
  x[3][2] = std::nanf("");
  Layer layer(4);
  RandomStream random(1);
  const at::Tensor y = hidden_units(x, layer.norm, false, 0, random);
  CHECK(at::isnan(y).sum().item<std::int64_t>() == 1);
  CHECK(at::isnan(hidden_units(x, layer.norm, true, 0, random).select(1, 2)).all().item<bool>());
}

TEST_CASE("hidden units: gradients that come in expanded or transposed, and weights that want none") {
  for (const bool is_training : {true, false}) {
    for (const bool transposed : {true, false}) {
      std::vector<at::Tensor> gradients;
      for (const auto way : {hidden_units, hidden_units_by_operators}) {
        Layer layer(12);
        layer.norm.weight = layer.norm.weight.detach();
        const at::Tensor x = leaf(cells(12, 12));
        RandomStream random(5);
        const at::Tensor y = way(x, layer.norm, is_training, 0.2, random);
        (transposed ? (y.t() * at::cos(at::arange(144).view({12, 12}))).sum() : y.sum()).backward();
        gradients.push_back(at::cat({x.grad().flatten(), layer.norm.bias.grad()}));
      }
      CHECK(max_relative_difference(gradients[0], gradients[1]) < 2e-4);
    }
  }
}

TEST_CASE("hidden units: two minibatches forward, then both backward") {
  std::vector<at::Tensor> gradients;
  for (const auto way : {hidden_units, hidden_units_by_operators}) {
    Layer layer(7);
    const at::Tensor a = leaf(cells(20, 7)), b = leaf(cells(31, 7) - 1);
    RandomStream random(5);
    const at::Tensor y_a = way(a, layer.norm, true, 0.2, random), y_b = way(b, layer.norm, true, 0.2, random);
    (y_a.square().sum() + y_b.square().sum()).backward();
    gradients.push_back(at::cat({a.grad(), b.grad(), layer.norm.weight.grad().unsqueeze(0)}));
  }
  CHECK(max_relative_difference(gradients[0], gradients[1]) < 2e-4);
}

TEST_CASE("hidden units: training on before a gradient through running statistics is taken is an error") {
  Layer layer(4);
  const at::Tensor x = leaf(cells(9, 4));
  RandomStream random(5);
  const at::Tensor y = hidden_units(x, layer.norm, /*is_training=*/false, 0, random);
  hidden_units(x, layer.norm, /*is_training=*/true, 0, random);
  CHECK_THROWS(y.sum().backward());
}

TEST_CASE("hidden units: the input may be a transposed tensor") {
  const at::Tensor x = cells(20, 12);
  const auto straight = results(true, x, true, 0), turned = results(true, x.t().contiguous().t(), true, 0);
  for (std::size_t k = 0; k < straight.size(); ++k) CHECK(same_bits(straight[k], turned[k]));
}
