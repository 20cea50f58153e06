#include "core/training/classifier_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/errors.h"
#include "core/posterior/classified_cells.h"
#include "core/training/objective.h"

namespace rscvi {

ClassifierPlan::ClassifierPlan(CellClassifier classifier, std::shared_ptr<const Dataset> dataset,
                               const TrainOptions& options, bool double_softmax, const RandomStream& random)
    : classifier_(std::move(classifier)),
      data_(std::move(dataset), options, classifier_.device()),
      double_softmax_(double_softmax),
      random_(random.split(stream::training)) {}

at::Tensor ClassifierPlan::loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight&) {
  const Minibatch minibatch = data_.gather(cells, n_cells);
  const at::Tensor log_q = classifier_.log_probabilities(minibatch.x, minibatch, random_);
  return cross_entropy(log_q, minibatch.label, double_softmax_);
}

MetricValues ClassifierPlan::evaluate(const std::vector<std::int64_t>& cells, const std::vector<Metric>& wanted,
                                      RandomStream&) {
  MetricValues values;
  if (std::find(wanted.begin(), wanted.end(), Metric::accuracy) == wanted.end()) return values;
  values.accuracy = accuracy(ClassifiedCells{classifier_, data_.dataset, cells, data_.batch_size, data_.counts, {}});
  return values;
}

bool ClassifierPlan::is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream&) {
  const std::vector<std::int64_t> some(cells, cells + n_cells);
  const at::Tensor q =
      label_probabilities(ClassifiedCells{classifier_, data_.dataset, some, data_.batch_size, data_.counts, {}});
  return at::isfinite(q).any().item<bool>();
}

OwnClassifierPlan::OwnClassifierPlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                                     bool double_softmax, const RandomStream& random)
    : VaePlan(std::move(model), std::move(dataset), options),
      double_softmax_(double_softmax),
      random_(random.split(stream::training)) {}

at::Tensor OwnClassifierPlan::loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight&) {
  return classification_loss(*model_, gather(cells, n_cells), double_softmax_, random_);
}

bool OwnClassifierPlan::is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream& random) {
  const EvaluationScope evaluation(model_);
  const Minibatch minibatch = gather(cells, n_cells);
  return at::isfinite(model_->classify(minibatch.x, minibatch, random)).any().item<bool>();
}

void check_labelled(const Dataset& dataset, const std::vector<std::int64_t>& cells) {
  for (const std::int64_t cell : cells) {
    if (dataset.label[cell] < 0) throw InvalidArgument("a cell to train the classifier on has no label");
  }
}

}  // namespace rscvi
