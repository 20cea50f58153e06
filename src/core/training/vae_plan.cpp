#include "core/training/vae_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/errors.h"
#include "core/posterior/annotation.h"
#include "core/posterior/likelihood.h"
#include "core/training/objective.h"
#include "core/training/semi_supervised.h"

namespace rscvi {
namespace {

class UnsupervisedPlan final : public VaePlan {
 public:
  UnsupervisedPlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                   const RandomStream& random)
      : VaePlan(std::move(model), std::move(dataset), options),
        random_(random.split(stream::training)),
        without_labels_(options.without_labels),
        free_bits_(options.free_bits) {}

  at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight& kl_weight) override {
    return loss_of(gather(cells, n_cells), kl_weight);
  }

  std::optional<LossInParts> loss_in_parts() override {
    const auto gathered = [this](const std::int64_t* cells, std::int64_t n_cells) { return gather(cells, n_cells); };
    const auto loss = [this](const Minibatch& cells, const KlWeight& kl_weight) { return loss_of(cells, kl_weight); };
    return LossInParts{gathered, loss, &random_};
  }

 private:
  at::Tensor loss_of(const Minibatch& minibatch, const KlWeight& kl_weight) {
    if (without_labels_) return unlabelled_loss(*model_, minibatch, Noise(), kl_weight, random_);
    return labelled_loss(*model_, minibatch, Noise(), kl_weight, random_, free_bits_);
  }

  RandomStream random_;
  bool without_labels_;
  double free_bits_;
};

}  // namespace

VaePlan::VaePlan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options)
    : model_(std::move(model)), data_(std::move(dataset), options, model_->device()) {}

Minibatch VaePlan::gather(const std::int64_t* cells, std::int64_t n_cells) const {
  return data_.gather(cells, n_cells);
}

MetricValues VaePlan::evaluate(const std::vector<std::int64_t>& cells, const std::vector<Metric>& wanted,
                               RandomStream& random) {
  Posterior posterior;
  posterior.model = model_;
  posterior.dataset = data_.dataset;
  posterior.cells = cells;
  posterior.batch_size = data_.batch_size;
  posterior.counts = data_.counts;
  posterior.on_device = data_.on_device;
  const auto wants = [&](Metric metric) { return std::find(wanted.begin(), wanted.end(), metric) != wanted.end(); };
  MetricValues values;
  if (wants(Metric::elbo) || wants(Metric::reconstruction_error)) {
    const MeanLossTerms losses = mean_loss_terms(posterior, Noise(), random);
    values.elbo = losses.negative_elbo();
    values.reconstruction_error = losses.reconst_loss;
  }
  if (wants(Metric::accuracy)) values.accuracy = accuracy(posterior);
  return values;
}

bool VaePlan::is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream& random) {
  const EvaluationScope evaluation(model_);
  Minibatch minibatch = gather(cells, n_cells);
  fill_in_labels(model_, minibatch);
  const LossTerms terms = model_->loss_terms(minibatch, Noise(), random);
  return at::isfinite(terms.negative_elbo()).any().item<bool>();
}

TrainedPart classifier_part(const Vae& model) {
  TrainedPart part;
  part.names = {"classifier"};
  if (!model->options().labels_groups.empty()) part.names.push_back("classifier_groups");
  return part;
}

std::unique_ptr<Plan> make_plan(Vae model, std::shared_ptr<const Dataset> dataset, const TrainOptions& options,
                                const RandomStream& random) {
  if (options.free_bits > 0 && has_classifier(model->options().type)) {
    throw InvalidArgument("free_bits is for models without a classifier");
  }
  if (options.semi_supervised) {
    return std::make_unique<SemiSupervisedPlan>(std::move(model), std::move(dataset), options, random);
  }
  return std::make_unique<UnsupervisedPlan>(std::move(model), std::move(dataset), options, random);
}

}  // namespace rscvi
