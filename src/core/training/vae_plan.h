// Plans that train a model of counts.
#pragma once

#include "core/model/vae.h"
#include "core/posterior/posterior.h"
#include "core/training/plan.h"

namespace rscvi {

// What they share: metrics are those of posteriors.
class VaePlan : public Plan {
 public:
  VaePlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options);

  std::shared_ptr<torch::nn::Module> module() const override { return model_.ptr(); }
  MetricValues evaluate(const std::vector<std::int64_t>& cells, const std::vector<Metric>& wanted,
                        RandomStream& random) override;
  bool is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream& random) override;

 protected:
  Minibatch gather(const std::int64_t* cells, std::int64_t n_cells);

  Vae model_;
  PlanData data_;
};

// The classifier of a model that has one, that of groups of labels included.
TrainedPart classifier_part(const Vae& model);

// Unsupervised, or, where the options say so, semi-supervised.
std::unique_ptr<Plan> make_plan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                                const RandomStream& random);

}  // namespace rscvi
