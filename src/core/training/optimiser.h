// Adam (Kingma & Ba 2015) with scvi's settings.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/training/device_adam.h"
#include "core/training/train_options.h"

namespace rscvi {

// Over those of the parameters that the loss reaches; the rest (a dropout decoder that nobody uses) stays as it is.
class Optimiser {
 public:
  // A parameter with a rate and an eps of its own.
  struct OwnRate {
    at::Tensor parameter;
    double lr, eps;
  };

  Optimiser(std::vector<at::Tensor> parameters, const OptimiserOptions& options,
            const std::vector<OwnRate>& own_rates = {});

  // Moves the parameters against the gradient of the loss, a scalar. Given `is_sound`, a Boolean scalar where the loss
  // is, and false, it leaves parameters and moments as they are; on a GPU the host does not look at it.
  void step(const at::Tensor& loss, const at::Tensor& is_sound = {});

  // While they rest, steps leave the parameters with a rate of their own, and what is known of their gradients, as they
  // are.
  void let_own_rates_rest(bool rest) { own_rates_rest_ = rest; }

  // Of the parameters without one of their own, which change in the same proportion.
  double lr() const { return lr_; }
  void set_lr(double lr);

 private:
  struct Moments {
    at::Tensor mean, mean_square;  // of the gradient, laid out as the parameter; undefined before its first step
    std::int64_t n_steps = 0;
  };
  void update(at::Tensor& parameter, const at::Tensor& gradient, const OptimiserOptions& options,
              Moments& moments) const;

  std::vector<at::Tensor> parameters_;
  std::vector<OptimiserOptions> options_;  // of each parameter
  std::vector<bool> has_own_rate_;         // the same
  std::vector<Moments> moments_;
  struct ByOperators {
    DeviceAdam adam;
    double lr;
    bool is_own_rate;
  };
  std::vector<ByOperators> by_operators_;  // one a rate, of parameters that are not on the CPU
  double first_lr_, lr_;
  bool own_rates_rest_ = false;
};

}  // namespace rscvi
