#include "core/training/plan.h"

#include <ATen/ATen.h>

#include "core/training/objective.h"
#include "core/training/semi_supervised.h"

namespace rscvi {
namespace {

class UnsupervisedPlan final : public Plan {
 public:
  UnsupervisedPlan(Vae model, const Dataset& dataset, CountsKind counts, const RandomStream& random)
      : model_(std::move(model)), dataset_(dataset), counts_(counts), random_(random.split(stream::training)) {}

  at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, double kl_weight) override {
    const Minibatch minibatch = gather_minibatch(dataset_, cells, n_cells, counts_, model_->device());
    return labelled_loss(*model_, minibatch, Noise(), kl_weight, random_);
  }

 private:
  Vae model_;
  const Dataset& dataset_;
  CountsKind counts_;
  RandomStream random_;
};

}  // namespace

std::unique_ptr<Plan> make_plan(Vae model, const Dataset& dataset, const TrainOptions& options,
                                const RandomStream& random) {
  const CountsKind counts = options.corrupted ? CountsKind::corrupted : CountsKind::observed;
  if (!options.semi_supervised) return std::make_unique<UnsupervisedPlan>(std::move(model), dataset, counts, random);
  return std::make_unique<SemiSupervisedPlan>(std::move(model), dataset, counts, options, random);
}

}  // namespace rscvi
