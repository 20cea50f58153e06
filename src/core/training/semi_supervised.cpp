#include "core/training/semi_supervised.h"

#include <ATen/ATen.h>

#include "core/base/device.h"
#include "core/base/errors.h"
#include "core/training/objective.h"
#include "core/training/optimiser.h"
#include "core/training/trainable.h"

namespace rscvi {
namespace {

constexpr std::int64_t smallest_minibatch = 3;  // batch normalisation of one or two cells is noise

}  // namespace

EndlessCells::EndlessCells(std::vector<std::int64_t> cells, std::int64_t batch_size, RandomStream random)
    : cells_(std::move(cells)), batch_size_(batch_size), random_(std::move(random)) {
  if (static_cast<std::int64_t>(cells_.size()) < smallest_minibatch) {
    throw InvalidArgument("the labelled set has " + std::to_string(cells_.size()) + " cells; at least " +
                          std::to_string(smallest_minibatch) + " are needed");
  }
}

std::vector<std::int64_t> EndlessCells::next() {
  // A remainder that is too small for a minibatch waits for another order.
  if (order_.size() - at_ < static_cast<std::size_t>(smallest_minibatch)) {
    order_ = random_.permutation(static_cast<std::int64_t>(cells_.size()));
    at_ = 0;
  }
  const std::size_t end = std::min(order_.size(), at_ + static_cast<std::size_t>(batch_size_));
  std::vector<std::int64_t> out;
  for (; at_ < end; ++at_) out.push_back(cells_[order_[at_]]);
  return out;
}

std::int64_t EndlessCells::n_minibatches() const {
  return (static_cast<std::int64_t>(cells_.size()) + batch_size_ - 1) / batch_size_;
}

SemiSupervisedPlan::SemiSupervisedPlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                                       const RandomStream& random)
    : VaePlan(std::move(model), std::move(dataset), options),
      options_(*options.semi_supervised),
      classifier_optimiser_(options.optimiser),
      labelled_(options_.labelled_cells, options.batch_size, random.split(stream::labelled_cells)),
      has_label_(data_.dataset->n_cells(), false),
      random_(random.split(stream::training)) {
  classifier_optimiser_.lr = options_.lr_classification;
  for (const std::int64_t cell : options_.labelled_cells) {
    if (data_.dataset->label[cell] < 0) throw InvalidArgument("a cell of the labelled set has no label");
    has_label_[cell] = true;
  }
}

Minibatch SemiSupervisedPlan::labelled_minibatch() {
  const std::vector<std::int64_t> cells = labelled_.next();
  return gather(cells.data(), static_cast<std::int64_t>(cells.size()));
}

at::Tensor SemiSupervisedPlan::loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight& kl_weight) {
  const Minibatch minibatch = gather(cells, n_cells);
  return options_.joint ? joint_loss(minibatch, kl_weight) : alternate_loss(minibatch, cells, kl_weight);
}

at::Tensor SemiSupervisedPlan::joint_loss(const Minibatch& minibatch, const KlWeight& kl_weight) {
  const at::Tensor loss = unlabelled_loss(*model_, minibatch, Noise(), kl_weight, random_);
  const at::Tensor classification =
      classification_loss(*model_, labelled_minibatch(), options_.classification.double_softmax, random_);
  return loss + options_.classification.ratio * classification;
}

// Cells of the labelled set with their label, all others without.
at::Tensor SemiSupervisedPlan::alternate_loss(const Minibatch& minibatch, const std::int64_t* cells,
                                              const KlWeight& kl_weight) {
  const c10::Device device = model_->device();
  const at::Tensor staged = staging_tensor({minibatch.size()}, at::kBool, device);
  std::int64_t n_known = 0;
  for (std::int64_t k = 0; k < minibatch.size(); ++k) {
    staged.data_ptr<bool>()[k] = has_label_[cells[k]];
    n_known += has_label_[cells[k]] ? 1 : 0;
  }
  const at::Tensor is_known = sent(staged, device);
  const auto objective = [&](const LossTerms& terms) { return model_->objective(terms, kl_weight); };
  if (n_known == 0) return unlabelled_loss(*model_, minibatch, Noise(), kl_weight, random_);
  // Label 0 stands in where there is none: that cell's loss is not taken from here.
  Minibatch labelled = minibatch;
  labelled.label = at::where(is_known, minibatch.label, at::zeros_like(minibatch.label));
  const at::Tensor with_label = objective(model_->loss_terms(labelled, Noise(), random_));
  if (n_known == minibatch.size()) return with_label.mean();
  const at::Tensor without = objective(model_->unlabelled_loss_terms(minibatch, Noise(), random_));
  return at::where(is_known, with_label, without).mean();
}

void SemiSupervisedPlan::end_epoch() {
  if (options_.n_epochs_classifier == 0) return;
  Trainable classifier(module(), classifier_part(model_));
  Optimiser optimiser(classifier.parameters(), classifier_optimiser_);
  classifier.enter_training_mode();
  for (std::int64_t k = 0; k < options_.n_epochs_classifier * labelled_.n_minibatches(); ++k) {
    optimiser.step(
        classification_loss(*model_, labelled_minibatch(), options_.classification.double_softmax, random_));
  }
}

}  // namespace rscvi
