#include "core/nn/linear.h"

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
