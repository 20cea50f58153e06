// Training on the CPU as it is done on a GPU: counts kept as tensors, losses looked at when an epoch is over, Adam by
// operators. Sums are then taken in another order, so that results are near those of the CPU's own way, not the same.
#include <cmath>

#include "core/base/errors.h"
#include "core/training/classifier_plan.h"
#include "core/training/trainer.h"
#include "helpers.h"
#include "host_reads.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

enum class Kind { unsupervised, joint, alternate, own_classifier, classifier };
const Kind every_kind[] = {Kind::unsupervised, Kind::joint, Kind::alternate, Kind::own_classifier, Kind::classifier};

VaeOptions model_options(Kind kind) {
  VaeOptions options = kind == Kind::unsupervised ? toy_options() : toy_options_of(ModelType::scanvi);
  options.n_categories = {4};
  options.continuous = {{0.1, 0.7}};
  if (kind == Kind::joint) options.labels_groups = {0, 1, 1};
  return options;
}

TrainOptions training_options(Kind kind) {
  TrainOptions options = quick_training(3);
  options.metrics = {Metric::elbo, Metric::accuracy};
  options.monitored = {{"test_set", cells_from(40, 60)}};
  if (kind == Kind::unsupervised) options.metrics = {Metric::elbo};
  if (kind == Kind::classifier) options.metrics = {Metric::accuracy};
  if (kind == Kind::joint || kind == Kind::alternate) {
    options.semi_supervised.emplace();
    options.semi_supervised->labelled_cells = cells_from(0, 20);  // some minibatches have none, some have many
    options.semi_supervised->joint = kind == Kind::joint;
  }
  return options;
}

std::unique_ptr<Plan> make_plan_of(Kind kind, const Toy& toy, TrainOptions& options) {
  const Vae model = toy_model(model_options(kind));
  const RandomStream random(1);
  if (kind == Kind::own_classifier) {
    options.trained = classifier_part(model);
    return std::make_unique<OwnClassifierPlan>(model, toy.dataset, options, /*double_softmax=*/false, random);
  }
  if (kind != Kind::classifier) return make_plan(model, toy.dataset, options, random);
  RandomStream start(2);
  const Classifier classifier = make_classifier(toy_genes, toy_labels, ClassifierOptions(), start);
  return std::make_unique<ClassifierPlan>(CellClassifier(classifier, toy_genes, Vae(nullptr), false), toy.dataset,
                                          options, /*double_softmax=*/false, random);
}

struct Outcome {
  TrainResult result;
  State state;
};

Outcome train_on(const Toy& toy, Kind kind, TrainOptions options) {
  const auto plan = make_plan_of(kind, toy, options);
  QuietMonitor monitor;
  Outcome out;
  out.result = train(*plan, cells_from(0, 40), options, RandomStream(1), monitor);
  out.state = copy_state(*plan->module());
  return out;
}

void check_near(double a, double b) {
  const bool is_near = std::abs(a - b) <= 1e-4 * (1 + std::abs(b)) || (std::isnan(a) && std::isnan(b));
  CHECK(is_near);
}

}  // namespace

TEST_CASE("device path: losses, metrics and weights within 1e-4 of the CPU's way") {
  const Toy toy = toy_data_with_covariates();
  for (const Kind kind : every_kind) {
    CAPTURE(static_cast<int>(kind));
    TrainOptions options = training_options(kind);
    options.frequency = 1;
    const Outcome got = train_on(toy, kind, as_on_gpu(options)), expected = train_on(toy, kind, options);
    CHECK(got.result.status == TrainStatus::completed);
    CHECK(got.result.iterations == expected.result.iterations);
    REQUIRE(got.result.history.size() == 4);
    for (std::size_t row = 0; row < 4; ++row) {
      const HistoryRow &a = got.result.history[row], &b = expected.result.history[row];
      check_near(a.loss, b.loss);
      for (std::size_t m = 0; m < a.metrics.size(); ++m) check_near(a.metrics[m], b.metrics[m]);
    }
    REQUIRE(got.state.size() == expected.state.size());
    for (std::size_t k = 0; k < got.state.size(); ++k) {
      CAPTURE(got.state[k].first);
      CHECK(max_relative_difference(got.state[k].second, expected.state[k].second) < 1e-4);
    }
  }
}

TEST_CASE("device path: the host reads no value within an epoch, whatever is trained, steps repeated or called") {
  const Toy toy = toy_data_with_covariates();
  for (const Kind kind : every_kind) {
    CAPTURE(static_cast<int>(kind));
    const auto reads = [&](std::int64_t batch_size, bool step_graph) {
      TrainOptions options = as_on_gpu(training_options(kind), step_graph);
      options.batch_size = batch_size;
      return host_reads([&] { train_on(toy, kind, options); });
    };
    for (const bool step_graph : {false, true}) {
      CHECK(reads(20, step_graph) == reads(5, step_graph));  // 2 and 8 steps an epoch
    }
  }
}

TEST_CASE("device path: corrupted counts are kept too, and must be there") {
  Toy toy = toy_data_with_covariates();
  TrainOptions options = as_on_gpu(training_options(Kind::unsupervised));
  options.corrupted = true;
  CHECK_THROWS_AS(train_on(toy, Kind::unsupervised, options), InvalidArgument);
  toy.dataset->corrupted = source_of(compress(toy.x * 3));
  const double kept = train_on(toy, Kind::unsupervised, options).result.history[3].loss;
  options.largest_on_device = 0;
  check_near(kept, train_on(toy, Kind::unsupervised, options).result.history[3].loss);
}
