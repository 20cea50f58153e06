// What a step of training is made of: the loop of trainer.h asks a plan for the loss of some cells.
#pragma once

#include <memory>

#include "core/model/vae.h"
#include "core/training/train_options.h"

namespace rscvi {

class Plan {
 public:
  virtual ~Plan() = default;

  // The loss of these cells (0-based), averaged over them: a scalar that records gradients. The model is in training
  // mode.
  virtual at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, double kl_weight) = 0;

  // After the last minibatch of an epoch; may leave the model in either mode.
  virtual void end_epoch() {}
};

// Unsupervised, or, where the options say so, semi-supervised. The dataset must outlive the plan.
std::unique_ptr<Plan> make_plan(Vae model, const Dataset& dataset, const TrainOptions& options,
                                const RandomStream& random);

}  // namespace rscvi
