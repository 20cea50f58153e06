#include "core/training/device_adam.h"

#include <ATen/ATen.h>

#include <algorithm>

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

DeviceAdam::DeviceAdam(std::vector<at::Tensor> parameters, const OptimiserOptions& options)
    : parameters_(std::move(parameters)),
      options_(options),
      reached_(parameters_.size(), false),
      betas_(at::tensor({beta1, beta2}, at::kDouble).to(parameters_.front().device())),
      ones_(at::ones_like(betas_)),
      lr_(at::full({}, options.lr, betas_.options())) {}

void DeviceAdam::set_lr(double lr) { lr_.fill_(lr); }

void DeviceAdam::step(const at::Tensor& is_sound) {
  const at::NoGradGuard no_grad;
  std::vector<bool> reached;
  for (const at::Tensor& parameter : parameters_) reached.push_back(parameter.grad().defined());
  if (reached != reached_) {
    reached_ = std::move(reached);
    regroup();
  }
  for (const Group& group : groups_) {
    if (reached_[group.members.front()]) update(group, is_sound);
  }
}

// Afterwards each group was reached by this step as a whole, or not at all.
void DeviceAdam::regroup() {
  const auto is_reached = [&](std::size_t member) { return reached_[member]; };
  std::vector<Group> groups;
  std::vector<bool> is_new = reached_;
  for (Group& group : groups_) {
    const std::vector<std::size_t>& members = group.members;
    for (const std::size_t member : members) is_new[member] = false;
    const bool is_mixed = std::any_of(members.begin(), members.end(), is_reached) &&
                          !std::all_of(members.begin(), members.end(), is_reached);
    if (is_mixed) {
      for (const bool reached : {true, false}) groups.push_back(part_of(group, reached));
    } else {
      groups.push_back(std::move(group));
    }
  }
  if (std::find(is_new.begin(), is_new.end(), true) != is_new.end()) groups.push_back(fresh_group(is_new));
  groups_ = std::move(groups);
}

DeviceAdam::Group DeviceAdam::part_of(const Group& group, bool reached) const {
  Group part;
  std::vector<at::Tensor> mean, mean_square;
  std::int64_t start = 0;
  for (const std::size_t member : group.members) {
    const std::int64_t n = parameters_[member].numel();
    if (reached_[member] == reached) {
      part.members.push_back(member);
      mean.push_back(group.mean.narrow(0, start, n));
      mean_square.push_back(group.mean_square.narrow(0, start, n));
    }
    start += n;
  }
  part.mean = at::cat(mean);
  part.mean_square = at::cat(mean_square);
  part.powers = group.powers.clone();
  add_views(part);
  return part;
}

DeviceAdam::Group DeviceAdam::fresh_group(const std::vector<bool>& is_member) const {
  Group group;
  std::int64_t n = 0;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    if (!is_member[k]) continue;
    group.members.push_back(k);
    n += parameters_[k].numel();
  }
  group.mean = at::zeros({n}, parameters_.front().options());
  group.mean_square = at::zeros_like(group.mean);
  group.powers = ones_.clone();
  add_views(group);
  return group;
}

void DeviceAdam::add_views(Group& group) const {
  group.move = at::empty_like(group.mean);
  std::int64_t start = 0;
  for (const std::size_t member : group.members) {
    const at::Tensor& parameter = parameters_[member];
    group.parameters.push_back(parameter);
    group.values.push_back(as_vector(parameter));
    group.moves.push_back(group.move.as_strided(parameter.sizes(), parameter.strides(), start));
    start += parameter.numel();
  }
}

// A step that does not count has NaN in its gradients, which no factor of 0 removes: what they would go into is taken
// in their place, and the move, 0 / 0 where no step has counted yet, is struck out.
void DeviceAdam::update(const Group& group, const at::Tensor& is_sound) const {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : group.parameters) gradients.push_back(as_vector(gradient_of(parameter)));
  const at::Tensor g = at::cat(gradients).add_(at::cat(group.values), options_.weight_decay);
  group.mean.lerp_(at::where(is_sound, g, group.mean), 1 - beta1);
  group.mean_square.lerp_(at::where(is_sound, g * g, group.mean_square), 1 - beta2);
  group.powers.mul_(at::where(is_sound, betas_, ones_));
  const at::Tensor correction = 1 - group.powers;
  // With the learning rate, and the sign of the move.
  const at::Tensor root = (group.mean_square / correction[1]).sqrt_().add_(options_.eps).mul_(correction[0] / -lr_);
  at::Tensor move = group.move;
  at::div_out(move, group.mean, root).masked_fill_(at::logical_not(is_sound), 0);
  at::_foreach_add_(group.parameters, group.moves);
}

}  // namespace rscvi
