// Adam (Kingma & Ba 2015) with scvi's settings.
#pragma once

#include <torch/optim/adam.h>

#include <vector>

#include "core/training/train_options.h"

namespace rscvi {

// Over those of the parameters that the loss reaches; the rest (a dropout decoder that nobody uses) stays as it is.
class Optimiser {
 public:
  Optimiser(std::vector<at::Tensor> parameters, const OptimiserOptions& options)
      : adam_(parameters, torch::optim::AdamOptions(options.lr).eps(options.eps).weight_decay(options.weight_decay)) {
    // Gradients that somebody else left behind must not count as reached.
    for (auto& parameter : parameters) parameter.mutable_grad() = at::Tensor();
  }

  void step(const at::Tensor& loss) {
    adam_.zero_grad();
    loss.backward();
    adam_.step();
  }

  double lr() { return options().lr(); }
  void set_lr(double lr) { options().lr(lr); }

 private:
  torch::optim::AdamOptions& options() {
    return static_cast<torch::optim::AdamOptions&>(adam_.param_groups()[0].options());
  }
  torch::optim::Adam adam_;
};

}  // namespace rscvi
