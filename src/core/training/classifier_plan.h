// Plans that train a classifier on the labels of cells (scvi 0.6.8, inference/annotation.py, class ClassifierTrainer).
#pragma once

#include "core/model/cell_classifier.h"
#include "core/training/vae_plan.h"

namespace rscvi {

// Cross-entropy of a classifier of its own; the model that places the cells, if there is one, is never changed.
class ClassifierPlan final : public Plan {
 public:
  ClassifierPlan(CellClassifier classifier, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                 bool double_softmax, const RandomStream& random);

  std::shared_ptr<torch::nn::Module> module() const override { return classifier_.classifier().ptr(); }
  at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight& kl_weight) override;
  MetricValues evaluate(const std::vector<std::int64_t>& cells, const std::vector<Metric>& wanted,
                        RandomStream& random) override;
  bool is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream& random) override;

 private:
  CellClassifier classifier_;
  PlanData data_;
  bool double_softmax_;
  RandomStream random_;
};

// That of the classifier of a VAEC or SCANVI: to be trained with options.trained = classifier_part(model).
class OwnClassifierPlan final : public VaePlan {
 public:
  OwnClassifierPlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                    bool double_softmax, const RandomStream& random);

  at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight& kl_weight) override;
  bool is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream& random) override;

 private:
  bool double_softmax_;
  RandomStream random_;
};

// InvalidArgument if one of the cells has no label: there would be nothing to hold the classifier against.
void check_labelled(const Dataset& dataset, const std::vector<std::int64_t>& cells);

}  // namespace rscvi
