#include "core/nn/linear.h"

#include "core/base/instruction_set.h"

#include <cmath>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("linear: y = x W' + b") {
  RandomStream random(1);
  Linear linear(3, 2, random);
  const at::NoGradGuard no_grad;
  linear->weight.copy_(matrix(2, {1, 2, 3, -1, 0, 4}));
  linear->bias.copy_(at::tensor({0.5F, -0.5F}));
  CHECK(same_bits(linear->forward(matrix(2, {1, 1, 1, 0, 2, -1})), matrix(2, {6.5F, 2.5F, 1.5F, -4.5F})));
}

TEST_CASE("linear: weight (out, in) and bias, in this order, start uniform within 1 / sqrt(n_in)") {
  constexpr std::int64_t n_in = 400, n_out = 300;
  RandomStream random(1);
  Linear linear(n_in, n_out, random);
  CHECK(names_of(live_state(*linear)) == std::vector<std::string>{"weight", "bias"});
  CHECK(linear->weight.size(0) == n_out);
  CHECK(linear->weight.size(1) == n_in);
  CHECK(linear->bias.numel() == n_out);
  const double bound = 1 / std::sqrt(static_cast<double>(n_in));
  for (const at::Tensor& tensor : {linear->weight, linear->bias}) {
    const auto n = static_cast<double>(tensor.numel());
    CHECK(tensor.abs().max().item<double>() <= bound);
    CHECK(tensor.abs().max().item<double>() > 0.97 * bound);
    CHECK(std::abs(tensor.mean().item<double>()) < 4.5 * bound / std::sqrt(3 * n));
    // The square of a uniform number has mean 1/3 and variance 4/45.
    CHECK(std::abs(tensor.square().mean().item<double>() / (bound * bound) - 1 / 3.0) <
          4.5 * std::sqrt(4 / 45.0 / n));
  }
}

TEST_CASE("linear: the start depends on the stream alone") {
  RandomStream a(1), b(1), c(2);
  CHECK(same_bits(copy_state(*Linear(4, 3, a)), copy_state(*Linear(4, 3, b))));
  CHECK_FALSE(same_bits(copy_state(*Linear(4, 3, a)), copy_state(*Linear(4, 3, c))));
}

namespace {

// A sparse product beside the dense one: output, and gradients of weight and bias under uneven weights.
struct Product {
  at::Tensor out, d_weight, d_bias;
};

Product product_of(const CellMatrix& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t n_genes) {
  const at::Tensor w = weight.detach().requires_grad_(true), b = bias.detach().clone().requires_grad_(true);
  const at::Tensor out = apply_linear(x, w.narrow(1, 0, n_genes), b);
  (out * at::linspace(0.5, 2, out.numel()).view(out.sizes())).sum().backward();
  return {out.detach(), w.grad(), b.grad()};
}

}  // namespace

TEST_CASE("linear: of compressed rows it is what it is of the dense matrix, on every instruction set") {
  RandomStream random(4);
  constexpr std::int64_t n_cells = 37, n_genes = 53;
  const at::Tensor dense = at::relu(random.normal({n_cells, n_genes}, c10::kCPU) - 1);
  const CellMatrix rows(CellMatrix(dense).rows(), n_genes);
  REQUIRE(rows.prefers_rows());
  for (const std::int64_t n_out : {1, 7, 16, 128, 300}) {
    const at::Tensor weight = random.normal({n_out, n_genes + 2}, c10::kCPU), bias = random.normal({n_out}, c10::kCPU);
    for (const at::Tensor& laid_out : {weight, weight.t().contiguous().t()}) {
      const Product expected = product_of(dense, laid_out, bias, n_genes);
      for (const auto set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
        const InstructionSetScope scope(set);
        const Product sparse = product_of(rows, laid_out, bias, n_genes);
        CHECK(max_relative_difference(sparse.out, expected.out) < 1e-5);
        CHECK(max_relative_difference(sparse.d_weight, expected.d_weight) < 1e-5);
        CHECK(max_relative_difference(sparse.d_bias, expected.d_bias) < 1e-5);
      }
    }
  }
}

TEST_CASE("linear: values and gradients are those of LibTorch's operator, for every layout, size and bias") {
  RandomStream random(5);
  for (const std::int64_t n_cells : {1, 2, 19}) {
    for (const std::int64_t n_out : {1, 7, 130}) {
      const at::Tensor inputs = random.normal({n_cells, 33}, c10::kCPU);
      const at::Tensor weight = random.normal({n_out, 35}, c10::kCPU), bias = random.normal({n_out}, c10::kCPU);
      const at::Tensor by_input = weight.t().contiguous().t();
      const at::Tensor slopes = random.normal({n_cells, n_out}, c10::kCPU);
      for (const bool with_bias : {true, false}) {
        for (const at::Tensor& laid_out : {weight, by_input}) {
          const auto product = [&](const auto& function, std::vector<at::Tensor>& gradients) {
            const at::Tensor x = inputs.clone().requires_grad_(true), b = bias.clone().requires_grad_(true);
            const at::Tensor w = laid_out.detach().requires_grad_(true);
            const at::Tensor out = function(x, w.narrow(1, 1, 33), with_bias ? b : at::Tensor());
            (out * slopes).sum().backward();
            gradients = {x.grad(), w.grad()};
            if (with_bias) gradients.push_back(b.grad());
            return out.detach();
          };
          std::vector<at::Tensor> expected, found;
          const at::Tensor value = product([](const auto&... of) { return at::linear(of...); }, expected);
          const auto apply = [](const at::Tensor& x, const auto&... of) { return apply_linear(x, of...); };
          const at::Tensor own = product(apply, found);
          CHECK(max_difference(own, value) < 1e-5 * value.abs().max().item<double>());
          for (std::size_t k = 0; k < expected.size(); ++k) {
            CHECK(max_difference(found[k], expected[k]) < 1e-5 * expected[k].abs().max().item<double>());
          }
          const at::NoGradGuard no_grad;
          CHECK(same_bits(apply_linear(inputs, laid_out.narrow(1, 1, 33), with_bias ? bias : at::Tensor()), own));
        }
      }
    }
  }
}

TEST_CASE("linear: inputs that ask for no gradient, and weights that do not, get none") {
  RandomStream random(6);
  Linear linear(4, 3, random, /*with_bias=*/true, WeightLayout::by_input);
  const at::Tensor x = random.normal({5, 4}, c10::kCPU);
  linear->forward(x).sum().backward();
  CHECK_FALSE(x.grad().defined());
  CHECK(max_difference(linear->weight.grad(), x.sum(0).expand({3, 4})) < 1e-6);
  CHECK(linear->weight.grad().strides() == linear->weight.strides());
  for (at::Tensor tensor : {linear->weight, linear->bias}) tensor.requires_grad_(false);
  const at::Tensor asked = x.clone().requires_grad_(true);
  linear->forward(asked).sum().backward();
  CHECK(max_difference(asked.grad(), linear->weight.sum(0).expand({5, 4})) < 1e-6);
  CHECK_FALSE(linear->forward(x).requires_grad());
}
