#include "core/model/state.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/errors.h"

namespace rscvi {
namespace {

std::string describe_shape(const at::Tensor& tensor) {
  if (tensor.dim() == 0) return "a single number";
  std::string text;
  for (const auto n : tensor.sizes()) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text;
}

// A single number also comes as a vector of one: R does not tell them apart.
bool fits(const at::Tensor& given, const at::Tensor& live) {
  return given.sizes() == live.sizes() || (live.dim() == 0 && given.numel() == 1);
}

// A module's own tensors come before those of its submodules, as in Python's state_dict().
void collect(const torch::nn::Module& module, const std::string& prefix, State& state) {
  const auto add = [&](const auto& item) { state.emplace_back(prefix + item.key(), item.value()); };
  for (const auto& item : module.named_parameters(/*recurse=*/false)) add(item);
  for (const auto& item : module.named_buffers(/*recurse=*/false)) add(item);
  for (const auto& item : module.named_children()) collect(*item.value(), prefix + item.key() + ".", state);
}

}  // namespace

State live_state(const torch::nn::Module& module) {
  State state;
  collect(module, "", state);
  return state;
}

State copy_state(const torch::nn::Module& module) {
  State state = live_state(module);
  for (auto& item : state) item.second = item.second.detach().clone();
  return state;
}

void load_state(torch::nn::Module& module, const State& state) {
  const State live = live_state(module);
  std::map<std::string, at::Tensor> given(state.begin(), state.end());
  if (given.size() != state.size()) throw InvalidArgument("the state holds a tensor more than once");
  for (const auto& item : live) {
    const auto found = given.find(item.first);
    if (found == given.end()) throw InvalidArgument("the state lacks the tensor '" + item.first + "'");
    if (!fits(found->second, item.second)) {
      throw InvalidArgument("tensor '" + item.first + "' must be " + describe_shape(item.second) + ", not " +
                            describe_shape(found->second));
    }
  }
  for (const auto& item : state) {
    const bool known = std::any_of(live.begin(), live.end(), [&](const auto& l) { return l.first == item.first; });
    if (!known) throw InvalidArgument("the state holds a tensor that this model does not have: '" + item.first + "'");
  }
  const at::NoGradGuard no_grad;
  for (const auto& item : live) item.second.detach().copy_(given.at(item.first).view(item.second.sizes()));
}

bool is_finite(const torch::nn::Module& module) {
  const at::NoGradGuard no_grad;
  const State state = live_state(module);
  // A sum is finite only if all of its terms are, and costs one pass without a temporary.
  return std::all_of(state.begin(), state.end(), [](const auto& item) {
    return std::isfinite(item.second.sum(at::kDouble).template item<double>());
  });
}

}  // namespace rscvi
