#include "core/training/device_adam.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

constexpr double beta1 = 0.9, beta2 = 0.999;

// The numbers of a dense tensor in the order in which they lie in memory.
at::Tensor as_vector(const at::Tensor& dense) { return dense.as_strided({dense.numel()}, {1}); }

// Laid out in memory as the parameter, so that their numbers come in one order.
at::Tensor gradient_of(const at::Tensor& parameter) {
  const at::Tensor& gradient = parameter.grad();
  const bool same = gradient.strides() == parameter.strides() && gradient.is_non_overlapping_and_dense();
  return same ? gradient : at::empty_like(parameter).copy_(gradient);
}

}  // namespace

void DeviceAdam::step(const std::vector<at::Tensor>& parameters, const at::Tensor& is_sound, double lr) {
  std::vector<bool> reached;
  for (const at::Tensor& parameter : parameters) reached.push_back(parameter.grad().defined());
  if (reached != reached_) {
    reached_ = std::move(reached);
    regroup(parameters);
  }
  for (Group& group : groups_) {
    if (reached_[group.members.front()]) update(group, parameters, is_sound, lr);
  }
}

// Afterwards each group was reached by this step as a whole, or not at all.
void DeviceAdam::regroup(const std::vector<at::Tensor>& parameters) {
  std::vector<Group> groups;
  std::vector<bool> is_member(parameters.size(), false);
  for (const Group& group : groups_) {
    for (const std::size_t member : group.members) is_member[member] = true;
    for (const bool reached : {true, false}) {
      Group part = part_of(group, parameters, reached);
      if (!part.members.empty()) groups.push_back(std::move(part));
    }
  }
  Group fresh;
  std::int64_t n = 0;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    if (!reached_[k] || is_member[k]) continue;
    fresh.members.push_back(k);
    n += parameters[k].numel();
  }
  if (!fresh.members.empty()) {
    const at::TensorOptions options = parameters[fresh.members.front()].options();
    betas_ = at::tensor({beta1, beta2}, at::kDouble).to(options.device());
    ones_ = at::ones_like(betas_);
    for (at::Tensor* state : {&fresh.mean, &fresh.mean_square, &fresh.move}) *state = at::zeros({n}, options);
    fresh.powers = ones_.clone();
    groups.push_back(std::move(fresh));
  }
  groups_ = std::move(groups);
}

DeviceAdam::Group DeviceAdam::part_of(const Group& group, const std::vector<at::Tensor>& parameters,
                                      bool reached) const {
  Group part;
  std::vector<at::Tensor> mean, mean_square;
  std::int64_t at_number = 0;
  for (const std::size_t member : group.members) {
    const std::int64_t n = parameters[member].numel();
    if (reached_[member] == reached) {
      part.members.push_back(member);
      mean.push_back(group.mean.narrow(0, at_number, n));
      mean_square.push_back(group.mean_square.narrow(0, at_number, n));
    }
    at_number += n;
  }
  if (part.members.empty()) return part;
  part.mean = at::cat(mean);
  part.mean_square = at::cat(mean_square);
  part.move = at::empty_like(part.mean);
  part.powers = group.powers.clone();
  return part;
}

// A step that does not count has NaN in its gradients, which no factor of 0 removes: what they would go into is taken
// in their place, and the move, 0 / 0 where no step has counted yet, is struck out.
void DeviceAdam::update(Group& group, const std::vector<at::Tensor>& parameters, const at::Tensor& is_sound,
                        double lr) const {
  std::vector<at::Tensor> gradients, values, targets, moves;
  std::int64_t at_number = 0;
  for (const std::size_t member : group.members) {
    const at::Tensor& parameter = parameters[member];
    gradients.push_back(as_vector(gradient_of(parameter)));
    values.push_back(as_vector(parameter));
    targets.push_back(parameter);
    moves.push_back(group.move.as_strided(parameter.sizes(), parameter.strides(), at_number));
    at_number += parameter.numel();
  }
  const at::Tensor g = at::cat(gradients).add_(at::cat(values), options_.weight_decay);
  group.mean.lerp_(at::where(is_sound, g, group.mean), 1 - beta1);
  group.mean_square.lerp_(at::where(is_sound, g * g, group.mean_square), 1 - beta2);
  group.powers.mul_(at::where(is_sound, betas_, ones_));
  const at::Tensor correction = 1 - group.powers;
  const at::Tensor root = (group.mean_square / correction[1]).sqrt_().add_(options_.eps).mul_(correction[0]);
  at::div_out(group.move, group.mean, root).masked_fill_(at::logical_not(is_sound), 0);
  at::_foreach_add_(targets, moves, -lr);
}

}  // namespace rscvi
