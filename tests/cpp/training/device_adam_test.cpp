#include "core/training/device_adam.h"

#include <limits>

#include "core/base/random.h"
#include "core/training/optimiser.h"
#include "helpers.h"
#include "host_reads.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// A matrix that lies column by column, a vector, and one more that only some losses reach.
std::vector<at::Tensor> parameters(at::ScalarType type = at::kFloat) {
  RandomStream random(2);
  std::vector<at::Tensor> out = {random.normal({7, 29}, c10::kCPU).t().contiguous().t(),
                                 random.normal({131}, c10::kCPU), random.normal({5}, c10::kCPU)};
  for (at::Tensor& tensor : out) tensor = tensor.to(type).detach().requires_grad_(true);
  return out;
}

at::Tensor loss_of(const std::vector<at::Tensor>& p, int step, bool with_last) {
  const at::Tensor loss = (at::exp(p[0] * 0.3) * (1 + step % 3)).sum() + ((p[1] - step).square() * p[0].sum()).mean();
  return with_last ? loss + (p[2] * step).square().sum() : loss;
}

OptimiserOptions options_of(bool by_operators) {
  OptimiserOptions options;
  options.lr = 0.02;
  options.weight_decay = 0.1;
  options.by_operators = by_operators;
  return options;
}

// A step: whether it reaches the last parameter, and whether its loss is a number.
struct Step {
  bool with_last = false, is_sound = true;
};

std::vector<at::Tensor> after(const std::vector<Step>& steps, bool by_operators, at::ScalarType type) {
  std::vector<at::Tensor> p = parameters(type);
  Optimiser optimiser(p, options_of(by_operators));
  for (std::size_t k = 0; k < steps.size(); ++k) {
    at::Tensor loss = loss_of(p, static_cast<int>(k), steps[k].with_last);
    if (!steps[k].is_sound) loss = loss * std::numeric_limits<double>::quiet_NaN();
    optimiser.step(loss, at::isfinite(loss.detach()));
  }
  return p;
}

void check_near(const std::vector<Step>& steps) {
  for (const auto type : {at::kDouble, at::kFloat}) {
    const auto ours = after(steps, true, type), expected = after(steps, false, type);
    const double tolerance = type == at::kDouble ? 1e-12 : 1e-5;
    for (std::size_t k = 0; k < ours.size(); ++k) CHECK(max_relative_difference(ours[k], expected[k]) < tolerance);
  }
}

constexpr Step sound = {false, true}, bad = {false, false}, with_last = {true, true}, bad_with_last = {true, false};

}  // namespace

TEST_CASE("Adam by operators: the steps of the kernel of the CPU") {
  check_near(std::vector<Step>(20, sound));
  check_near(std::vector<Step>(20, with_last));
}

TEST_CASE("Adam by operators: parameters that the loss reaches now and then count their own steps") {
  check_near({sound, with_last, sound, sound, with_last, with_last, sound});
  check_near({with_last, sound, with_last, sound});
}

TEST_CASE("Adam by operators: a step without a finite loss is as if it had not been, the first one too") {
  check_near({bad, bad, sound, sound, bad, sound});
  check_near({bad_with_last, sound, with_last, bad_with_last, bad, sound, with_last});
  const std::vector<Step> two = {sound, sound}, around = {bad, sound, bad, sound, bad};
  CHECK(max_difference(after({bad, bad}, true, at::kFloat)[0].detach(), parameters()[0].detach()) == 0);
  // loss_of() depends on the number of the step: the sound ones must be the same.
  const auto at_same_steps = [&](bool by_operators) {
    std::vector<at::Tensor> p = parameters();
    Optimiser optimiser(p, options_of(by_operators));
    for (const int step : {1, 3}) optimiser.step(loss_of(p, step, false));
    return p;
  };
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(max_difference(after(around, true, at::kFloat)[k].detach(), at_same_steps(true)[k].detach()) == 0);
    CHECK(max_difference(after(around, false, at::kFloat)[k].detach(), at_same_steps(false)[k].detach()) == 0);
  }
}

TEST_CASE("Adam by operators: what no loss reaches stays as it is; a learning rate holds from the next step on") {
  CHECK(same_bits(after({sound, sound}, true, at::kFloat)[2].detach(), parameters()[2].detach()));
  std::vector<at::Tensor> p = parameters();
  Optimiser optimiser(p, options_of(true));
  optimiser.step(loss_of(p, 0, true));
  const at::Tensor before = p[1].detach().clone();
  optimiser.set_lr(0);
  optimiser.step(loss_of(p, 1, true));
  CHECK(max_difference(p[1].detach(), before) == 0);
}

TEST_CASE("Adam by operators: the host reads nothing") {
  std::vector<at::Tensor> p = parameters();
  Optimiser optimiser(p, options_of(true));
  CHECK(host_reads([&] {
          for (int step = 0; step < 3; ++step) {
            const at::Tensor loss = loss_of(p, step, step == 1);
            optimiser.step(loss, at::isfinite(loss.detach()));
          }
        }) == 0);
}
