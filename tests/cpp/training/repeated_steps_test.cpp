#include "core/training/repeated_steps.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/base/errors.h"
#include "core/training/trainer.h"
#include "core/training/vae_plan.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// Two full minibatches of 20 an epoch, and one of 7.
Trained train_with(const Toy& toy, const TrainOptions& options) {
  return train_toy(toy, options, 1, cells_from(0, 47));
}

void check_same(const Toy& toy, const TrainOptions& options, TrainStatus status = TrainStatus::completed) {
  const Trained repeated = train_with(toy, as_on_gpu(options, true)),
                called = train_with(toy, as_on_gpu(options, false));
  CHECK(same_bits(repeated.state(), called.state()));
  CHECK(repeated.result.status == status);
  CHECK(called.result.status == status);
  REQUIRE(repeated.result.history.size() == called.result.history.size());
  for (std::size_t row = 1; row < repeated.result.history.size(); ++row) {
    CHECK(repeated.result.history[row].loss == called.result.history[row].loss);
  }
}

// Counts how often it is asked for what.
class CountedGraph final : public StepGraph {
 public:
  struct Counts {
    int records = 0, replays = 0;
  };
  explicit CountedGraph(Counts& counts) : counts_(counts) {}
  void record(std::function<void()> step) override { step_ = std::move(step), ++counts_.records; }
  void replay() override { step_(), ++counts_.replays; }

 private:
  Counts& counts_;
  std::function<void()> step_;
};

}  // namespace

TEST_CASE("repeated steps: recorded after the first three, and anew for another kind") {
  const Toy toy = toy_data();
  CountedGraph::Counts counts;
  RepeatedSteps steps(std::make_unique<CountedGraph>(counts), /*n_cells=*/5);
  std::int64_t first = 0;
  // Gives sums of the minibatch's counts, which the recorded step must find in the place of the first one's.
  const auto take = [&](int kind, std::int64_t n_cells = 5) {
    const Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(first, first + n_cells));
    first = (first + 5) % 50;
    const at::Tensor got = steps(minibatch, kind, [kind](const Minibatch& cells) {
      return cells.x.dense().sum() * kind + cells.x.log1p().dense().sum() + cells.batch_index.sum() * 1000;
    });
    const at::Tensor x = minibatch.x.dense();
    const at::Tensor expected = x.sum() * kind + x.log1p().sum() + minibatch.batch_index.sum() * 1000;
    CHECK(got.item<float>() == doctest::Approx(expected.item<float>()));
  };
  for (int k = 0; k < 3; ++k) take(0);
  CHECK(counts.records == 0);
  for (int k = 0; k < 4; ++k) take(0);
  CHECK(counts.records == 1);
  CHECK(counts.replays == 4);
  take(0, /*n_cells=*/3);  // another size is called, and changes nothing
  take(0);
  CHECK(counts.replays == 5);
  take(1);  // the first of another kind is called, the second recorded
  CHECK(counts.replays == 5);
  take(1);
  CHECK(counts.records == 2);
  CHECK(counts.replays == 6);
  for (int k = 2; k < 7; ++k) take(k % 2);  // kinds that change all the time
  CHECK(counts.records == 2);
  CHECK(counts.replays == 6);
}

TEST_CASE("repeated steps: losses of steps stay as they were when others are taken") {
  const Toy toy = toy_data();
  CountedGraph::Counts counts;
  RepeatedSteps steps(std::make_unique<CountedGraph>(counts), /*n_cells=*/5);
  at::Tensor loss = at::zeros({});
  const auto take = [&] {
    return steps(minibatch_of(*toy.dataset, cells_from(0, 5)), /*kind=*/0,
                 [&](const Minibatch&) { return loss.add_(1); });
  };
  for (int k = 0; k < 3; ++k) take();
  const at::Tensor first = take(), second = take();
  CHECK(first.item<float>() == 4);
  CHECK(second.item<float>() == 5);
}

TEST_CASE("repeated steps: training has the bits of one whose steps are called") {
  const Toy toy = toy_data();
  const TrainOptions plain = quick_training(4);
  check_same(toy, plain);

  TrainOptions by_epoch = plain;  // a KL weight and a learning rate of each epoch's own
  by_epoch.kl_warmup.epochs = 3;
  by_epoch.lr_schedule = LrSchedule::cosine;
  check_same(toy, by_epoch);

  TrainOptions by_iteration = plain;
  by_iteration.kl_warmup.iterations = 7;
  by_iteration.kl_warmup.epochs = std::nullopt;
  by_iteration.free_bits = 0.1;
  check_same(toy, by_iteration);

  TrainOptions dispersions = plain;  // which start to learn within an epoch
  dispersions.fixed_dispersion_iterations = 5;
  dispersions.dispersion.emplace();
  check_same(toy, dispersions);

  TrainOptions by_plateau = plain;  // a learning rate that early stopping lowers
  by_plateau.monitored = {{"test_set", cells_from(47, 60)}};
  by_plateau.early_stopping.emplace();
  by_plateau.early_stopping->reduce_lr_on_plateau = true;
  by_plateau.early_stopping->lr_patience = 1;
  by_plateau.early_stopping->threshold = 1e6;
  check_same(toy, by_plateau);

  TrainOptions part = plain;
  part.trained.names = {"decoder"};
  part.trained.columns = {{"z_encoder.encoder.fc_layers.Layer 0.0.weight", {0, 3}}};
  check_same(toy, part);
}

TEST_CASE("repeated steps: one without a finite loss is struck out, and training that breaks down is put back") {
  Toy toy = toy_data();
  toy.dataset->local_mean[3] = NAN;
  check_same(toy, quick_training(4));
  TrainOptions hopeless = quick_training(4);
  hopeless.optimiser.lr = 1e30;
  check_same(toy, hopeless, TrainStatus::diverged);
}

TEST_CASE("repeated steps: plans whose loss has no parts are trained as ever") {
  const Toy toy = toy_data();
  TrainOptions options = quick_training(3);
  options.semi_supervised.emplace();
  options.semi_supervised->labelled_cells = cells_from(0, 20);
  const auto trained = [&](bool step_graph) {
    const Vae model = toy_model(toy_options_of(ModelType::scanvi));
    QuietMonitor monitor;
    train(model, toy.dataset, cells_from(0, 47), as_on_gpu(options, step_graph), RandomStream(1), monitor);
    return copy_state(*model);
  };
  CHECK(same_bits(trained(true), trained(false)));
}

// --- what a graph takes for granted ----------------------------------------------------------------------------------

namespace {

// Keeps what the steps of a plan ask for: operators with the shapes of their tensors and the values of their numbers.
class WatchedPlan final : public Plan {
 public:
  explicit WatchedPlan(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}

  std::shared_ptr<torch::nn::Module> module() const override { return plan_->module(); }
  at::Tensor loss(const std::int64_t* cells, std::int64_t n, const KlWeight& kl_weight) override {
    return plan_->loss(cells, n, kl_weight);
  }
  std::optional<LossInParts> loss_in_parts() override {
    LossInParts parts = *plan_->loss_in_parts();
    const auto gather = parts.gather;
    const auto loss = parts.loss;
    parts.gather = [this, gather](const std::int64_t* cells, std::int64_t n) {
      is_in_step_ = false;
      return gathered_ = gather(cells, n);
    };
    parts.loss = [this, loss](const Minibatch& minibatch, const KlWeight& kl_weight) {
      steps.emplace_back();
      steps.back().n_cells = minibatch.size();
      steps.back().is_repeated = !minibatch.x.dense().is_same(gathered_.x.dense());
      is_in_step_ = true;
      return loss(minibatch, kl_weight);
    };
    return parts;
  }
  void end_epoch() override { is_in_step_ = false; }
  MetricValues evaluate(const Cells&, const std::vector<Metric>&, RandomStream&) override { return MetricValues(); }
  bool is_sound(const std::int64_t*, std::int64_t, RandomStream&) override { return true; }

  void saw(const at::RecordFunction& function) {
    if (!is_in_step_) return;
    std::ostringstream text;
    text << function.name();
    for (const c10::IValue& value : function.inputs()) describe(value, text);
    steps.back().operators.push_back(text.str());
  }

  struct SeenStep {
    std::int64_t n_cells = 0;
    bool is_repeated = false;  // on tensors that stay in their place
    std::vector<std::string> operators;
  };
  std::vector<SeenStep> steps;

 private:
  static void describe(const c10::IValue& value, std::ostringstream& text) {
    text << " ";
    if (value.isTensor()) {
      if (value.toTensor().defined()) text << value.toTensor().sizes();
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) text << tensor.sizes();
    } else if (value.isScalar() || value.isIntList() || value.isDoubleList()) {
      text << value;
    }
  }

  std::unique_ptr<Plan> plan_;
  Minibatch gathered_;
  bool is_in_step_ = false;
};

WatchedPlan* watched = nullptr;

std::unique_ptr<at::ObserverContext> tell_plan(const at::RecordFunction& function) {
  watched->saw(function);
  return nullptr;
}

// Trains on two full minibatches of 20 cells and one of 7 for four epochs; gives the steps.
std::vector<WatchedPlan::SeenStep> watched_training(const Toy& toy, const Vae& model, const TrainOptions& options) {
  WatchedPlan plan(make_plan(model, toy.dataset, options, RandomStream(1)));
  watched = &plan;
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(tell_plan).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  QuietMonitor monitor;
  train(plan, cells_from(0, 47), options, RandomStream(1), monitor);
  at::removeCallback(handle);
  REQUIRE(plan.steps.size() == 12);
  return plan.steps;
}

// What training asks for in each step on a full minibatch, from the second on: the optimiser sets itself up in the
// first. Steps after the first three are repeated.
std::vector<std::vector<std::string>> operators_of_steps(const Toy& toy, const Vae& model,
                                                         const TrainOptions& options) {
  auto steps = watched_training(toy, model, options);
  const std::size_t n_operators = steps[1].operators.size();  // a repeated step's loss is copied afterwards
  CHECK(n_operators > 50);
  std::vector<std::vector<std::string>> out;
  int n_full = 0;
  for (auto& step : steps) {
    if (step.n_cells != 20) continue;
    CHECK(step.is_repeated == (++n_full > 3));
    step.operators.resize(std::min(step.operators.size(), n_operators));
    if (n_full > 1) out.push_back(step.operators);
  }
  REQUIRE(n_full == 8);
  return out;
}

void check_same_operators(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (a[k] == b[k]) continue;
    CAPTURE(k);
    CHECK(a[k] == b[k]);
    return;
  }
}

void check_steady(const Toy& toy, const VaeOptions& model, const TrainOptions& options) {
  const auto steps = operators_of_steps(toy, toy_model(model), options);
  for (const auto& operators : steps) check_same_operators(operators, steps.front());
}

}  // namespace

TEST_CASE("repeated steps: steps of one size ask for the same operators on the same shapes with the same numbers") {
  const Toy toy = toy_data_with_covariates();
  TrainOptions options = as_on_gpu(quick_training(4), /*step_graph=*/true);
  options.kl_warmup.iterations = 100;  // a weight and a rate that change reach the steps by their places
  options.kl_warmup.epochs = std::nullopt;
  options.lr_schedule = LrSchedule::cosine;

  for (const auto type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    CAPTURE(static_cast<int>(type));
    VaeOptions model = type == ModelType::vae ? toy_options() : toy_options_of(type);
    model.n_categories = {4};
    model.continuous = {{0.1, 0.7}};
    check_steady(toy, model, options);
  }
  for (const auto library : {Library::observed, Library::residual}) {
    VaeOptions model = toy_options();
    model.library = library;
    check_steady(toy, model, options);
  }
  for (const auto dispersion : {Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    VaeOptions model = toy_options();
    model.dispersion = dispersion;
    check_steady(toy, model, options);
  }
  TrainOptions with_free_bits = options;
  with_free_bits.free_bits = 0.1;
  check_steady(toy, toy_options(), with_free_bits);
  TrainOptions without_labels = options;
  without_labels.without_labels = true;
  check_steady(toy, toy_options_of(ModelType::scanvi), without_labels);
}

TEST_CASE("repeated steps: what would not come to the same is told apart by the operators") {
  TrainOptions options = as_on_gpu(quick_training(4), /*step_graph=*/true);
  options.fixed_dispersion_iterations = 5;
  options.dispersion.emplace();
  const auto steps = watched_training(toy_data(), toy_model(toy_options()), options);
  // Steps are numbered from 1; 3, 6, 9, 12 have 7 cells. Dispersions learn from the sixth on.
  check_same_operators(steps[1].operators, steps[3].operators);
  CHECK(steps[7].operators.size() > steps[3].operators.size());
  CHECK_FALSE(steps[6].is_repeated);  // the first full one of its kind
  CHECK(steps[7].is_repeated);
}
