#include "core/training/optimiser.h"

#include <torch/optim/adam.h>

#include "core/base/instruction_set.h"
#include "core/base/random.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// A matrix that lies column by column, a vector whose length is no multiple of anything, and one that no loss reaches.
std::vector<at::Tensor> parameters(at::ScalarType type) {
  RandomStream random(2);
  std::vector<at::Tensor> out = {random.normal({7, 29}, c10::kCPU).t().contiguous().t(),
                                 random.normal({131}, c10::kCPU), random.normal({5}, c10::kCPU)};
  for (at::Tensor& tensor : out) tensor = tensor.to(type).detach().requires_grad_(true);
  return out;
}

at::Tensor loss_of(const std::vector<at::Tensor>& p, int step) {
  return (at::exp(p[0] * 0.3) * (1 + step % 3)).sum() + ((p[1] - step).square() * p[0].sum()).mean();
}

std::vector<at::Tensor> after(int n_steps, at::ScalarType type, const OptimiserOptions& options) {
  std::vector<at::Tensor> p = parameters(type);
  Optimiser optimiser(p, options);
  for (int step = 0; step < n_steps; ++step) optimiser.step(loss_of(p, step));
  return p;
}

std::vector<at::Tensor> after_torch(int n_steps, at::ScalarType type, const OptimiserOptions& options) {
  std::vector<at::Tensor> p = parameters(type);
  torch::optim::Adam adam(
      p, torch::optim::AdamOptions(options.lr).eps(options.eps).weight_decay(options.weight_decay));
  for (int step = 0; step < n_steps; ++step) {
    adam.zero_grad();
    loss_of(p, step).backward();
    adam.step();
  }
  return p;
}

}  // namespace

TEST_CASE("optimiser: the steps of LibTorch's own Adam, on every instruction set") {
  OptimiserOptions options;
  options.lr = 0.02;
  for (const double weight_decay : {0.0, 0.1}) {
    for (const double eps : {1e-8, 0.01}) {
      options.weight_decay = weight_decay;
      options.eps = eps;
      for (const auto set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
        const InstructionSetScope scope(set);
        const auto ours = after(20, at::kFloat, options), torchs = after_torch(20, at::kFloat, options);
        for (std::size_t k = 0; k < ours.size(); ++k) CHECK(max_relative_difference(ours[k], torchs[k]) < 1e-5);
      }
      const auto ours = after(20, at::kDouble, options), torchs = after_torch(20, at::kDouble, options);
      for (std::size_t k = 0; k < ours.size(); ++k) CHECK(max_relative_difference(ours[k], torchs[k]) < 1e-12);
    }
  }
}

TEST_CASE("optimiser: what no loss reaches stays as it is, weight decay or not") {
  OptimiserOptions options;
  options.weight_decay = 0.5;
  CHECK(same_bits(after(3, at::kFloat, options)[2].detach(), parameters(at::kFloat)[2].detach()));
}

TEST_CASE("optimiser: a lower learning rate holds from the next step on") {
  OptimiserOptions options;
  std::vector<at::Tensor> p = parameters(at::kFloat);
  Optimiser optimiser(p, options);
  optimiser.step(loss_of(p, 0));
  const at::Tensor before = p[1].detach().clone();
  optimiser.set_lr(0);
  optimiser.step(loss_of(p, 1));
  CHECK(optimiser.lr() == 0);
  CHECK(same_bits(p[1].detach(), before));
}

TEST_CASE("optimiser: a parameter with a rate and an eps of its own moves as if it were alone with them") {
  for (const bool by_operators : {false, true}) {
    OptimiserOptions options;
    options.by_operators = by_operators;
    options.lr = 0.02;
    std::vector<at::Tensor> together = parameters(at::kFloat), alone = parameters(at::kFloat);
    Optimiser both(together, options, {{together[1], 0.3, 1e-8}});
    OptimiserOptions own = options;
    own.lr = 0.3;
    own.eps = 1e-8;
    Optimiser first({alone[0]}, options), second({alone[1]}, own);
    // The two losses share no parameter, so that each optimiser sees the same gradients.
    const auto of_first = [](const at::Tensor& p) { return at::exp(p * 0.3).sum(); };
    const auto of_second = [](const at::Tensor& p, int step) { return (p - step).square().sum() * 1e-3; };
    for (int step = 0; step < 10; ++step) {
      if (step == 5) both.set_lr(0.01), first.set_lr(0.01), second.set_lr(0.15);  // in proportion
      both.step(of_first(together[0]) + of_second(together[1], step));
      first.step(of_first(alone[0]));
      second.step(of_second(alone[1], step));
    }
    CHECK(both.lr() == 0.01);
    CHECK(at::equal(together[0], alone[0]));
    CHECK(max_relative_difference(together[1], alone[1]) < 1e-6);
  }
}

TEST_CASE("optimiser: parameters with a rate of their own rest while told to, as if those steps had not been") {
  for (const bool by_operators : {false, true}) {
    OptimiserOptions options;
    options.by_operators = by_operators;
    std::vector<at::Tensor> rested = parameters(at::kFloat), expected = parameters(at::kFloat);
    OptimiserOptions own = options;
    own.lr = 0.3;
    own.eps = 1e-8;
    Optimiser resting(rested, options, {{rested[1], 0.3, 1e-8}}), later({expected[1]}, own);
    const auto square = [](const at::Tensor& p, int step) { return (p - step).square().sum(); };
    for (int step = 0; step < 6; ++step) {
      const bool rests = step < 2 || step == 4;
      const at::Tensor other = rested[0].detach().clone(), own = rested[1].detach().clone();
      resting.let_own_rates_rest(rests);
      resting.step(at::exp(rested[0] * 0.3).sum() + square(rested[1], step));
      if (!rests) later.step(square(expected[1], step));
      CHECK(same_bits(rested[1].detach(), own) == rests);
      CHECK_FALSE(same_bits(rested[0].detach(), other));
    }
    CHECK(max_relative_difference(rested[1], expected[1]) < 1e-6);
  }
}
