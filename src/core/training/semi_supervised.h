// Training on cells of which some have labels (scvi 0.6.8, inference/annotation.py). No label of a cell outside the
// labelled set is ever looked at.
#pragma once

#include <vector>

#include "core/training/vae_plan.h"

namespace rscvi {

// Endless minibatches of some cells, in a new random order each time they are through.
class EndlessCells {
 public:
  EndlessCells(std::vector<std::int64_t> cells, std::int64_t batch_size, RandomStream random);
  std::vector<std::int64_t> next();
  // Minibatches of one time through the cells; a remainder too small for one waits for another order.
  std::int64_t n_minibatches() const;

 private:
  std::vector<std::int64_t> cells_, order_;
  std::int64_t batch_size_;
  std::size_t at_ = 0;
  RandomStream random_;
};

class SemiSupervisedPlan final : public VaePlan {
 public:
  SemiSupervisedPlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                     const RandomStream& random);

  at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight& kl_weight) override;

  // Fits the classifier alone, the rest of the model being in evaluation mode.
  void end_epoch() override;

 private:
  at::Tensor joint_loss(const Minibatch& minibatch, const KlWeight& kl_weight);
  at::Tensor alternate_loss(const Minibatch& minibatch, const std::int64_t* cells, const KlWeight& kl_weight);
  Minibatch labelled_minibatch();

  SemiSupervisedOptions options_;
  OptimiserOptions classifier_optimiser_;
  EndlessCells labelled_;
  std::vector<bool> has_label_;  // of every cell of the data set
  RandomStream random_;
};

}  // namespace rscvi
