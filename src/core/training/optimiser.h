// Adam (Kingma & Ba 2015) with scvi's settings.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/training/device_adam.h"
#include "core/training/train_options.h"

namespace rscvi {

// Over those of the parameters that the loss reaches; the rest (a dropout decoder that nobody uses) stays as it is.
class Optimiser {
 public:
  Optimiser(std::vector<at::Tensor> parameters, const OptimiserOptions& options);

  // Moves the parameters against the gradient of the loss, a scalar. Given `is_sound`, a Boolean scalar where the loss
  // is, and false, it leaves parameters and moments as they are; on a GPU the host does not look at it.
  void step(const at::Tensor& loss, const at::Tensor& is_sound = {});

  double lr() const { return options_.lr; }
  void set_lr(double lr) { options_.lr = lr; }

 private:
  struct Moments {
    at::Tensor mean, mean_square;  // of the gradient, laid out as the parameter; undefined before its first step
    std::int64_t n_steps = 0;
  };
  void update(at::Tensor& parameter, const at::Tensor& gradient, Moments& moments) const;

  std::vector<at::Tensor> parameters_;
  std::vector<Moments> moments_;
  std::optional<DeviceAdam> by_operators_;  // of parameters that are not on the CPU
  OptimiserOptions options_;
};

}  // namespace rscvi
