// Adam by LibTorch's operators, for parameters on a GPU: there the number of operators is what takes time, so that all
// parameters are treated as one vector. Tested on the CPU; untested on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/training/train_options.h"

namespace rscvi {

class DeviceAdam {
 public:
  explicit DeviceAdam(const OptimiserOptions& options) : options_(options) {}

  // Moves those of the parameters that have a gradient; always the same parameters, all of one type, on one device.
  // Where `is_sound`, a Boolean scalar on their device, is false, nothing changes. Nothing is read by the host.
  void step(const std::vector<at::Tensor>& parameters, const at::Tensor& is_sound, double lr);

 private:
  // Parameters that have been reached by the same steps, as one long vector.
  struct Group {
    std::vector<std::size_t> members;  // their numbers
    at::Tensor mean, mean_square;      // of the gradient
    at::Tensor move;                   // what the last step subtracted, before the learning rate
    at::Tensor powers;                 // (2) float64: beta1 and beta2 to the power of the number of steps
  };
  void regroup(const std::vector<at::Tensor>& parameters);
  Group part_of(const Group& group, const std::vector<at::Tensor>& parameters, bool reached) const;
  void update(Group& group, const std::vector<at::Tensor>& parameters, const at::Tensor& is_sound, double lr) const;

  OptimiserOptions options_;
  std::vector<bool> reached_;  // by the last step, which the groups fit
  std::vector<Group> groups_;
  at::Tensor betas_, ones_;  // (2) float64
};

}  // namespace rscvi
