#include "core/training/vae_plan.h"

#include "core/training/objective.h"
#include "core/training/semi_supervised.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::uint64_t seed = 5;
const Cells cells = {7, 3, 40, 41, 12};

at::Tensor first_loss(const Vae& model, const Toy& toy, const TrainOptions& options) {
  const auto plan = make_plan(model, toy.dataset, options, RandomStream(seed));
  return plan->loss(cells.data(), static_cast<std::int64_t>(cells.size()), /*kl_weight=*/0.3);
}

}  // namespace

TEST_CASE("plan: unsupervised, the loss with labels taken as known, and nothing at the end of an epoch") {
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    const Toy toy = toy_data();
    Vae model = toy_model(toy_options_of(type)), twin = toy_model(toy_options_of(type));
    RandomStream random = RandomStream(seed).split(stream::training);
    const at::Tensor expected = labelled_loss(*twin, minibatch_of(*toy.dataset, cells), Noise(), 0.3, random);
    const at::Tensor loss = first_loss(model, toy, quick_training(1));
    CHECK(same_bits(loss, expected));
    CHECK(loss.requires_grad());
    const State before = copy_state(*model);
    make_plan(model, toy.dataset, quick_training(1), RandomStream(seed))->end_epoch();
    CHECK(same_bits(live_state(*model), before));
  }
}

TEST_CASE("plan: on the corrupted counts where the options say so, semi-supervised too") {
  const at::NoGradGuard no_grad;
  Toy toy = toy_data(), shifted = toy_data();
  toy.dataset->corrupted = source_of(compress(toy.x + 1));
  shifted.dataset->counts = toy.dataset->corrupted;
  for (const bool semi_supervised : {false, true}) {
    const Vae model = scrambled_model(toy_options_of(ModelType::scanvi));
    TrainOptions options = quick_training(1);
    if (semi_supervised) {
      options.semi_supervised.emplace();
      options.semi_supervised->labelled_cells = cells_from(0, 12);
    }
    const at::Tensor expected = first_loss(model, shifted, options);
    CHECK_FALSE(same_bits(first_loss(model, toy, options), expected));
    options.corrupted = true;
    CHECK(same_bits(first_loss(model, toy, options), expected));
  }
}

TEST_CASE("plan: semi-supervised where the options say so") {
  const at::NoGradGuard no_grad;
  const Toy toy = toy_data();
  for (const bool joint : {true, false}) {
    const Vae model = scrambled_model(toy_options_of(ModelType::scanvi));
    TrainOptions options = quick_training(1);
    options.semi_supervised.emplace();
    options.semi_supervised->labelled_cells = cells_from(0, 12);
    options.semi_supervised->joint = joint;
    SemiSupervisedPlan direct(model, toy.dataset, options, RandomStream(seed));
    CHECK(same_bits(first_loss(model, toy, options), direct.loss(cells.data(), 5, 0.3)));
  }
}

TEST_CASE("semi-supervised options: defaults are those of scvi 0.6.8, but for its double softmax") {
  const SemiSupervisedOptions options;
  CHECK(options.joint);
  CHECK(options.classification.ratio == 50);
  CHECK_FALSE(options.classification.double_softmax);
  CHECK(options.n_epochs_classifier == 1);
  CHECK(options.lr_classification == 5e-3);
}
