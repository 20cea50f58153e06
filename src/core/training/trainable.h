// Training a part of a model while the rest is frozen.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/training/train_options.h"

namespace rscvi {

// While it lives, gradients reach the trained part alone; afterwards parameters are as open to gradients as before.
// What was frozen already stays so, so that one may live within another.
//
//   Trainable trainable(module, part);
//   Optimiser optimiser(trainable.parameters(), options);
//   trainable.enter_training_mode();
//   for (...) { optimiser.step(loss); trainable.restore_frozen_columns(); }
class Trainable {
 public:
  // InvalidArgument, naming it, for a name that the module does not have, and for columns that do not exist.
  Trainable(std::shared_ptr<torch::nn::Module> module, const TrainedPart& part);
  ~Trainable();
  Trainable(const Trainable&) = delete;
  Trainable& operator=(const Trainable&) = delete;

  // For the optimiser; a parameter of which some columns are trained is among them as a whole.
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

  // The named modules in training mode, and all others in the mode that the part says.
  void enter_training_mode();

  // After each step: an optimiser moves whole tensors, and weight decay has no need of a gradient.
  void restore_frozen_columns();

 private:
  struct PartlyFrozen {
    at::Tensor parameter, is_trained, before;  // is_trained: (1, input), Boolean
  };
  void find_trained_modules(const TrainedPart& part);
  PartlyFrozen partly_frozen(const at::Tensor& parameter, const Columns& columns) const;

  std::shared_ptr<torch::nn::Module> module_;
  bool evaluate_frozen_;
  std::vector<std::shared_ptr<torch::nn::Module>> trained_modules_;
  std::vector<at::Tensor> parameters_;
  std::vector<PartlyFrozen> partly_frozen_;
  std::vector<std::pair<at::Tensor, bool>> required_gradient_;  // of every parameter, before
};

}  // namespace rscvi
