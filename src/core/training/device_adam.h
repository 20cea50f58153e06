// Adam by LibTorch's operators, for parameters on a GPU: there the number of operators is what takes time, so that
// parameters are treated as one vector. Tested on the CPU; untested on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/training/train_options.h"

namespace rscvi {

class DeviceAdam {
 public:
  // At least one parameter; all of one type and on one device, and in the same memory as long as this lives.
  DeviceAdam(std::vector<at::Tensor> parameters, const OptimiserOptions& options);

  // Moves those of the parameters that have a gradient. Where `is_sound`, a Boolean scalar on their device, is false,
  // nothing changes. Nothing is read by the host.
  void step(const at::Tensor& is_sound);

  // Of the steps from now on, also of those that are repeated as they were recorded (repeated_steps.h).
  void set_lr(double lr);

 private:
  // Parameters that have been reached by the same steps: one vector of all their numbers, as they lie in memory.
  struct Group {
    std::vector<std::size_t> members;  // their places among all parameters
    at::Tensor mean, mean_square;      // of the gradient
    at::Tensor powers;                 // (2) float64: beta1 and beta2 to the power of the number of steps
    at::Tensor move;                   // what a step adds
    // The members; views of them as vectors, and of the move in their shapes. Made once, as each costs the host time.
    std::vector<at::Tensor> parameters, values, moves;
  };
  void regroup();
  Group part_of(const Group& group, bool reached) const;
  Group fresh_group(const std::vector<bool>& is_member) const;
  void add_views(Group& group) const;
  void update(const Group& group, const at::Tensor& is_sound) const;

  std::vector<at::Tensor> parameters_;
  OptimiserOptions options_;
  std::vector<bool> reached_;  // by the last step, which the groups fit
  std::vector<Group> groups_;
  at::Tensor betas_, ones_;  // (2) float64
  at::Tensor lr_;            // scalar, float64
};

}  // namespace rscvi
