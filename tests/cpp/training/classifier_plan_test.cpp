// Training classifiers: their losses by hand, what changes, and that they learn.
#include "core/training/classifier_plan.h"

#include <cmath>

#include "core/base/errors.h"
#include "core/posterior/annotation.h"
#include "core/posterior/classified_cells.h"
#include "core/training/objective.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::uint64_t seed = 5;
const Cells cells = {7, 3, 40, 41, 12};

Classifier small_classifier(std::int64_t n_in, double dropout_rate = 0) {
  RandomStream random(2);
  ClassifierOptions options;
  options.n_hidden = 6;
  options.dropout_rate = dropout_rate;
  Classifier classifier = make_classifier(n_in, toy_labels, options, random);
  scramble(*classifier);
  return classifier;
}

enum class Sees { counts, z, z_and_library };

CellClassifier cell_classifier(Sees sees, const Vae& model, double dropout_rate = 0) {
  const std::int64_t n_latent = model->options().n_latent;
  const std::int64_t n = sees == Sees::counts ? toy_genes : sees == Sees::z ? n_latent : n_latent + 1;
  return CellClassifier(small_classifier(n, dropout_rate), toy_genes, sees == Sees::counts ? Vae(nullptr) : model,
                        sees == Sees::z_and_library);
}

TrainOptions watching_accuracy(std::int64_t n_epochs, const Cells& watched) {
  TrainOptions options = quick_training(n_epochs);
  options.metrics = {Metric::accuracy};
  options.frequency = 1;
  options.monitored = {{"train_set", watched}};
  return options;
}

// -ln q(y | x) by hand, from a classifier in evaluation mode.
double by_hand(const CellClassifier& classifier, const at::Tensor& features, const Minibatch& minibatch,
               bool double_softmax) {
  torch::nn::Module whole;
  whole.register_module("it", classifier.classifier().ptr());
  at::Tensor q = classifier_by_hand(live_state(whole), "it", features);
  if (double_softmax) q = at::exp(q) / at::exp(q).sum(1, /*keepdim=*/true);
  double sum = 0;
  for (std::int64_t k = 0; k < minibatch.size(); ++k) {
    sum -= std::log(q[k][minibatch.label[k].item<std::int64_t>()].item<double>());
  }
  return sum / static_cast<double>(minibatch.size());
}

}  // namespace

TEST_CASE("classifier plan: the mean of -ln q(y | what it sees of x), and 0.6.8's double softmax") {
  const Toy toy = toy_data();
  for (const bool log_variational : {true, false}) {
    VaeOptions vae_options = toy_options();
    vae_options.log_variational = log_variational;
    vae_options.latent_distribution = LatentDistribution::logistic_normal;
    Vae model = scrambled_model(vae_options);
    RandomStream unused(0);
    const Minibatch minibatch = minibatch_of(*toy.dataset, cells);
    const EncodedCells encoded = model->encode(minibatch.x, minibatch, unused);
    for (const Sees sees : {Sees::counts, Sees::z, Sees::z_and_library}) {
      const at::Tensor features = sees == Sees::counts ? minibatch.x.dense()
                                  : sees == Sees::z    ? encoded.qz_m
                                                       : at::cat({encoded.qz_m, encoded.ql_m}, 1);
      for (const bool double_softmax : {false, true}) {
        const CellClassifier classifier = cell_classifier(sees, model);
        Classifier network = classifier.classifier();
        network->eval();
        ClassifierPlan plan(classifier, toy.dataset, quick_training(1), double_softmax, RandomStream(seed));
        const double loss = plan.loss(cells.data(), 5, /*kl_weight=*/0.1).item<double>();
        CHECK(loss == doctest::Approx(by_hand(classifier, features, minibatch, double_softmax)).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("classifier plan: the loss's gradient is that of finite differences") {
  const Toy toy = toy_data();
  const CellClassifier classifier = cell_classifier(Sees::counts, scrambled_model(toy_options()));
  Classifier network = classifier.classifier();
  network->eval();
  ClassifierPlan plan(classifier, toy.dataset, quick_training(1), /*double_softmax=*/false, RandomStream(seed));
  const at::Tensor bias = find(live_state(*network), "classifier.1.bias");
  plan.loss(cells.data(), 5, 1).backward();
  constexpr double step = 1e-2;
  for (std::int64_t k = 0; k < toy_labels; ++k) {
    const auto moved = [&](double by) {
      const at::NoGradGuard no_grad;
      bias[k].add_(by);
      const double loss = plan.loss(cells.data(), 5, 1).item<double>();
      bias[k].sub_(by);
      return loss;
    };
    CHECK(bias.grad()[k].item<double>() == doctest::Approx((moved(step) - moved(-step)) / (2 * step)).epsilon(2e-3));
  }
}

TEST_CASE("classifier plan: training tells separable labels apart, and changes the classifier alone") {
  const Toy toy = toy_data(120);
  for (const Sees sees : {Sees::counts, Sees::z, Sees::z_and_library}) {
    Vae model = scrambled_model(toy_options());
    model->train();  // as a fresh model is
    const State before = copy_state(*model);
    const CellClassifier classifier = cell_classifier(sees, model, /*dropout_rate=*/0.1);
    const TrainOptions options = watching_accuracy(80, cells_from(100, 120));
    ClassifierPlan plan(classifier, toy.dataset, options, /*double_softmax=*/false, RandomStream(seed));
    QuietMonitor silent;
    const TrainResult result = train(plan, cells_from(0, 100), options, RandomStream(seed), silent);
    CHECK(same_bits(live_state(*model), before));
    CHECK(result.metric_names == std::vector<std::string>{"accuracy_train_set"});
    const double at_the_end = result.history.back().metrics[0];
    CHECK(at_the_end > (sees == Sees::counts ? 0.94 : 0.7));
    const ClassifiedCells held_out{classifier, toy.dataset, cells_from(100, 120), 7, CountsKind::observed, {}};
    CHECK(accuracy(held_out) == at_the_end);
    CHECK_FALSE(classifier.classifier()->is_training());
  }
}

TEST_CASE("classifier plan: a SCANVI's or VAEC's own classifier is trained, and no other bit changes") {
  const Toy toy = toy_data();
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    VaeOptions model_options = toy_options_of(type);
    if (type == ModelType::scanvi) model_options.labels_groups = {0, 1, 1};
    Vae model = scrambled_model(model_options);
    const State before = copy_state(*model);
    TrainOptions options = watching_accuracy(100, cells_from(0, 60));
    options.optimiser.weight_decay = 0.01;
    options.trained = classifier_part(model);
    OwnClassifierPlan plan(model, toy.dataset, options, /*double_softmax=*/false, RandomStream(seed));
    QuietMonitor silent;
    const TrainResult result = train(plan, cells_from(0, 60), options, RandomStream(seed), silent);
    CHECK(result.history.back().loss < result.history[1].loss - 0.1);
    CHECK(result.history.back().metrics[0] > 0.7);
    CHECK(result.history.back().metrics[0] == accuracy(posterior_of(model, toy)));
    const State after = live_state(*model);
    for (std::size_t k = 0; k < before.size(); ++k) {
      const bool of_classifier = before[k].first.rfind("classifier", 0) == 0;
      CHECK(same_bits(before[k].second, after[k].second) != of_classifier);
    }
  }
}

TEST_CASE("classifier plan: the best state by accuracy, looked at when the history has it") {
  const Toy toy = toy_data();
  const auto history_of = [&](bool every_epoch) {
    const CellClassifier classifier = cell_classifier(Sees::counts, scrambled_model(toy_options()));
    TrainOptions options = watching_accuracy(10, cells_from(0, 60));
    options.frequency = 4;
    options.save_best_state_metric = Metric::accuracy;
    options.on = "train_set";
    options.watch_every_epoch = every_epoch;
    ClassifierPlan plan(classifier, toy.dataset, options, /*double_softmax=*/false, RandomStream(seed));
    QuietMonitor silent;
    const TrainResult result = train(plan, cells_from(0, 60), options, RandomStream(seed), silent);
    const ClassifiedCells all{classifier, toy.dataset, cells_from(0, 60), 128, CountsKind::observed, {}};
    CHECK(accuracy(all) == result.history[static_cast<std::size_t>(*result.best_epoch)].metrics[0]);
    std::vector<std::int64_t> epochs;
    for (const auto& row : result.history) {
      if (!std::isnan(row.metrics[0])) epochs.push_back(row.epoch);
    }
    return epochs;
  };
  CHECK(history_of(true).size() == 11);
  CHECK(history_of(false) == Cells{0, 4, 8, 10});
}

TEST_CASE("classifier plan: predictions do not depend on the size of minibatches") {
  const Toy toy = toy_data();
  const CellClassifier classifier = cell_classifier(Sees::z_and_library, scrambled_model(toy_options()));
  const auto q = [&](std::int64_t batch_size) {
    return label_probabilities(
        ClassifiedCells{classifier, toy.dataset, cells_from(0, 60), batch_size, CountsKind::observed, {}});
  };
  CHECK(max_difference(q(7), q(60)) < 1e-6);
  CHECK(max_difference(q(7).sum(1), at::ones({60})) < 1e-6);
}

TEST_CASE("classifier: what cannot be built or trained on is refused") {
  const auto refuse = [](auto make, const char* message) { CHECK_THROWS_WITH_AS(make(), message, InvalidArgument); };
  RandomStream random(1);
  refuse([&] { make_classifier(3, 1, ClassifierOptions(), random); }, "n_labels must be at least 2 for a classifier");
  refuse([&] { make_classifier(0, 2, ClassifierOptions(), random); }, "n_input must be at least 1 for a classifier");
  const Vae model = toy_model(toy_options());
  refuse([&] { CellClassifier(small_classifier(3), toy_genes, Vae(nullptr), false); },
         "the classifier was built for 3 features, but is given 12");
  refuse([&] { CellClassifier(small_classifier(3), toy_genes, model, true); },
         "the classifier was built for 3 features, but is given 4");
  refuse([&] { CellClassifier(small_classifier(12), toy_genes, Vae(nullptr), true); },
         "sampling_zl needs a sampling_model, which encodes z and l");
  const Toy toy = toy_data();
  toy.dataset->label[4] = -1;
  check_labelled(*toy.dataset, {3, 5});
  refuse([&] { check_labelled(*toy.dataset, {3, 4, 5}); }, "a cell to train the classifier on has no label");
}
