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
