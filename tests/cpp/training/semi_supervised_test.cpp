// Training on cells of which some have labels: the losses of single steps against sums written out over cells.
#include "core/training/semi_supervised.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/errors.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::uint64_t seed = 5;
constexpr double kl_weight = 0.3, ratio = 7;
const ModelType labelled_types[] = {ModelType::vaec, ModelType::scanvi};

Cells sorted(Cells cells) {
  std::sort(cells.begin(), cells.end());
  return cells;
}

Cells every_third() {
  Cells cells;
  for (std::int64_t cell = 1; cell < 60; cell += 3) cells.push_back(cell);  // of label 1 alone
  cells.insert(cells.end(), {0, 2, 6, 8, 12, 14});
  return cells;
}

TrainOptions semi_supervised(const Cells& labelled, bool joint) {
  TrainOptions options = quick_training(3);
  options.batch_size = 10;
  options.semi_supervised.emplace();
  options.semi_supervised->labelled_cells = labelled;
  options.semi_supervised->joint = joint;
  options.semi_supervised->classification.ratio = ratio;
  return options;
}

VaeOptions options_without_dropout(ModelType type) {
  VaeOptions options = toy_options_of(type);
  options.dropout_rate = options.classifier.dropout_rate = 0;
  return options;
}

// A plan on a model in evaluation mode, so that the losses of cells do not hang together.
struct Scene {
  Scene(ModelType type, const TrainOptions& train_options)
      : options(train_options), model(scrambled_model(options_without_dropout(type))) {}

  SemiSupervisedPlan plan() {
    return SemiSupervisedPlan(model, toy.dataset, options, RandomStream(seed));
  }
  double loss(const Cells& cells) {
    SemiSupervisedPlan fresh = plan();
    return fresh.loss(cells.data(), static_cast<std::int64_t>(cells.size()), kl_weight).item<double>();
  }

  // Objective of each cell, from the plan's stream of draws.
  std::vector<double> without_labels(const Cells& cells, RandomStream& random) {
    return objective_of(model->unlabelled_loss_terms(minibatch_of(*toy.dataset, cells), Noise(), random));
  }
  std::vector<double> with_labels(const Cells& cells, const std::vector<std::int64_t>& labels, RandomStream& random) {
    Minibatch minibatch = minibatch_of(*toy.dataset, cells);
    minibatch.label = at::tensor(labels, at::kLong);
    return objective_of(model->loss_terms(minibatch, Noise(), random));
  }
  static std::vector<double> objective_of(const LossTerms& terms) {
    const std::vector<double> reconst = values_of(terms.reconst_loss), kl_z = values_of(terms.kl_z),
                              kl_l = values_of(terms.kl_l);
    std::vector<double> out;
    for (std::size_t k = 0; k < reconst.size(); ++k) {
      const auto optional = [&](const at::Tensor& term) { return term.defined() ? term[k].item<double>() : 0.0; };
      out.push_back(reconst[k] + optional(terms.kl_z1) + kl_weight * (kl_z[k] + kl_l[k] + optional(terms.kl_y)));
    }
    return out;
  }

  // -ln q(y | x) averaged over cells.
  double classification(const Cells& cells) {
    const Minibatch minibatch = minibatch_of(*toy.dataset, cells);
    RandomStream unused(0);
    const at::NoGradGuard no_grad;
    const at::Tensor log_q = model->classify(minibatch.x, minibatch, unused);
    double sum = 0;
    for (std::size_t k = 0; k < cells.size(); ++k) {
      sum -= log_q[k][toy.dataset->label[cells[k]]].item<double>();
    }
    return sum / static_cast<double>(cells.size());
  }

  Toy toy = toy_data();
  TrainOptions options;
  Vae model;
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

RandomStream draws_of_plan() { return RandomStream(seed).split(stream::training); }

// The first minibatch of the labelled set.
Cells first_labelled(const Cells& labelled, std::size_t n) {
  RandomStream random = RandomStream(seed).split(stream::labelled_cells);
  const std::vector<std::int64_t> order = random.permutation(static_cast<std::int64_t>(labelled.size()));
  Cells out;
  for (std::size_t k = 0; k < n; ++k) out.push_back(labelled[order[k]]);
  return out;
}

Trained train_semi_supervised(const Toy& toy, const VaeOptions& model_options, const TrainOptions& options,
                              std::uint64_t training_seed = seed) {
  QuietMonitor silent;
  Trained trained{toy_model(model_options), TrainResult()};
  trained.result = train(trained.model, toy.dataset, cells_from(0, toy.dataset->n_cells()), options,
                         RandomStream(training_seed), silent);
  return trained;
}

}  // namespace

TEST_CASE("endless cells: every cell once a pass, in a new order each time") {
  const Cells cells = {3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93, 23};
  EndlessCells endless(cells, /*batch_size=*/5, RandomStream(1));
  CHECK(endless.n_minibatches() == 3);
  std::vector<Cells> passes;
  for (int pass = 0; pass < 4; ++pass) {
    Cells seen;
    for (const std::size_t size : {5, 5, 3}) {
      const Cells minibatch = endless.next();
      CHECK(minibatch.size() == size);
      seen.insert(seen.end(), minibatch.begin(), minibatch.end());
    }
    CHECK(sorted(seen) == sorted(cells));
    for (const Cells& earlier : passes) CHECK(earlier != seen);
    passes.push_back(seen);
  }
}

TEST_CASE("endless cells: no minibatch of one or two cells, and no cell twice before a new order") {
  for (const std::int64_t n : {21, 22}) {
    EndlessCells endless(cells_from(100, 100 + n), /*batch_size=*/10, RandomStream(1));
    std::set<std::int64_t> ever;
    for (int pass = 0; pass < 20; ++pass) {
      std::set<std::int64_t> seen;
      for (int k = 0; k < 2; ++k) {
        const Cells minibatch = endless.next();
        CHECK(minibatch.size() == 10);
        seen.insert(minibatch.begin(), minibatch.end());
      }
      CHECK(seen.size() == 20);
      ever.insert(seen.begin(), seen.end());
    }
    CHECK(static_cast<std::int64_t>(ever.size()) == n);  // a cell that was left over has its turn later
  }
  for (std::int64_t n = 3; n <= 40; ++n) {
    for (const std::int64_t batch_size : {3, 4, 7, 128}) {
      EndlessCells endless(cells_from(0, n), batch_size, RandomStream(2));
      for (int k = 0; k < 30; ++k) {
        const auto size = static_cast<std::int64_t>(endless.next().size());
        CHECK(size >= 3);
        CHECK(size <= batch_size);
      }
    }
  }
}

TEST_CASE("endless cells: as many minibatches a pass as the cells need") {
  const auto n_minibatches = [](std::int64_t n, std::int64_t batch_size) {
    return EndlessCells(cells_from(0, n), batch_size, RandomStream(1)).n_minibatches();
  };
  CHECK(n_minibatches(20, 10) == 2);
  CHECK(n_minibatches(24, 10) == 3);
  CHECK(n_minibatches(3, 128) == 1);
}

TEST_CASE("endless cells: the order comes from the stream; fewer than three cells are refused") {
  const auto first = [](std::uint64_t s) { return EndlessCells(cells_from(0, 30), 30, RandomStream(s)).next(); };
  CHECK(first(1) == first(1));
  CHECK(first(1) != first(2));
  CHECK_THROWS_WITH_AS(EndlessCells({4, 7}, 10, RandomStream(1)),
                       "the labelled set has 2 cells; at least 3 are needed", InvalidArgument);
}

TEST_CASE("joint plan: the loss without labels, plus ratio times the classifier's on a labelled minibatch") {
  const at::NoGradGuard no_grad;
  const Cells cells = {59, 3, 17, 20, 44, 1, 2};
  for (const ModelType type : labelled_types) {
    Scene scene(type, semi_supervised(every_third(), /*joint=*/true));
    RandomStream draws = draws_of_plan();
    const double without = mean_of(scene.without_labels(cells, draws));
    const double classification = scene.classification(first_labelled(every_third(), 10));
    CHECK(scene.loss(cells) == doctest::Approx(without + ratio * classification).epsilon(1e-5));
  }
}

TEST_CASE("joint plan: each step takes the next labelled minibatch") {
  const at::NoGradGuard no_grad;
  const Cells cells = cells_from(0, 10);
  Scene scene(ModelType::scanvi, semi_supervised(every_third(), /*joint=*/true));
  const Cells order = first_labelled(every_third(), 26);
  SemiSupervisedPlan plan = scene.plan();
  RandomStream draws = draws_of_plan();
  for (const auto& part : {std::make_pair(0, 10), std::make_pair(10, 20), std::make_pair(20, 26)}) {
    const double without = mean_of(scene.without_labels(cells, draws));
    const double classification = scene.classification({order.begin() + part.first, order.begin() + part.second});
    const double loss = plan.loss(cells.data(), 10, kl_weight).item<double>();
    CHECK(loss == doctest::Approx(without + ratio * classification).epsilon(1e-5));
  }
}

TEST_CASE("alternate plan: labelled cells' loss with their label, the other cells' without") {
  const at::NoGradGuard no_grad;
  const Cells cells = {59, 1, 17, 20, 44, 4, 2, 0};  // 1, 4, 2 and 0 are of the labelled set
  for (const ModelType type : labelled_types) {
    Scene scene(type, semi_supervised(every_third(), /*joint=*/false));
    RandomStream draws = draws_of_plan();
    const std::vector<double> with = scene.with_labels(cells, {0, 1, 0, 0, 0, 1, 2, 0}, draws);
    const std::vector<double> without = scene.without_labels(cells, draws);
    const double expected =
        (without[0] + with[1] + without[2] + without[3] + without[4] + with[5] + with[6] + with[7]) / 8;
    CHECK(scene.loss(cells) == doctest::Approx(expected).epsilon(1e-5));
    CHECK(std::abs(mean_of(with) - expected) > 1e-3);
    CHECK(std::abs(mean_of(without) - expected) > 1e-3);
  }
}

TEST_CASE("alternate plan: minibatches of one kind of cell alone") {
  const at::NoGradGuard no_grad;
  for (const ModelType type : labelled_types) {
    Scene scene(type, semi_supervised(every_third(), /*joint=*/false));
    RandomStream first = draws_of_plan(), second = draws_of_plan();
    const double with = mean_of(scene.with_labels({1, 4, 2, 0}, {1, 1, 2, 0}, first));
    CHECK(scene.loss({1, 4, 2, 0}) == doctest::Approx(with).epsilon(1e-5));
    const double without = mean_of(scene.without_labels({59, 17, 20}, second));
    CHECK(scene.loss({59, 17, 20}) == doctest::Approx(without).epsilon(1e-5));
  }
}

TEST_CASE("semi-supervised: labels of cells outside the labelled set never matter") {
  const Cells labelled = every_third();
  const auto is_labelled = [&](std::int64_t cell) {
    return std::find(labelled.begin(), labelled.end(), cell) != labelled.end();
  };
  for (const ModelType type : labelled_types) {
    for (const bool joint : {true, false}) {
      VaeOptions model_options = toy_options_of(type);
      if (type == ModelType::vaec) model_options.dispersion = Dispersion::gene_label;
      TrainOptions options = semi_supervised(labelled, joint);
      const State expected = train_semi_supervised(toy_data(), model_options, options).state();
      const Toy missing = toy_data(), wrong = toy_data(), moved = toy_data();
      for (std::int64_t cell = 0; cell < 60; ++cell) {
        if (is_labelled(cell)) continue;
        missing.dataset->label[cell] = -1;
        wrong.dataset->label[cell] = (wrong.dataset->label[cell] + 1) % 3;
      }
      CHECK(same_bits(train_semi_supervised(missing, model_options, options).state(), expected));
      CHECK(same_bits(train_semi_supervised(wrong, model_options, options).state(), expected));
      moved.dataset->label[labelled[0]] = (moved.dataset->label[labelled[0]] + 1) % 3;
      CHECK_FALSE(same_bits(train_semi_supervised(moved, model_options, options).state(), expected));
    }
  }
}

TEST_CASE("semi-supervised: a labelled set without a label, or of two cells, is refused") {
  Scene scene(ModelType::scanvi, semi_supervised(every_third(), /*joint=*/true));
  scene.toy.dataset->label[every_third()[3]] = -1;
  CHECK_THROWS_WITH_AS(scene.plan(), "a cell of the labelled set has no label", InvalidArgument);
  Scene small(ModelType::scanvi, semi_supervised({1, 2}, /*joint=*/true));
  CHECK_THROWS_WITH_AS(small.plan(), "the labelled set has 2 cells; at least 3 are needed", InvalidArgument);
}

TEST_CASE("end of an epoch: the classifier alone changes, and its normalisation counts the minibatches") {
  for (const ModelType type : labelled_types) {
    TrainOptions options = semi_supervised(every_third(), /*joint=*/true);  // 26 cells: minibatches of 10, 10 and 6
    options.semi_supervised->n_epochs_classifier = 2;
    Scene scene(type, options);
    scene.model->train();
    const State before = copy_state(*scene.model);
    scene.plan().end_epoch();
    const State after = live_state(*scene.model);
    for (const auto& item : after) {
      CAPTURE(item.first);
      const bool of_classifier = item.first.rfind("classifier", 0) == 0;
      CHECK(same_bits(item.second, find(before, item.first)) == !of_classifier);
    }
    const std::string count = "classifier.classifier.0.fc_layers.Layer 0.1.num_batches_tracked";
    CHECK(find(after, count).item<std::int64_t>() == 2 * 3);
  }
}

TEST_CASE("end of an epoch: no epochs of the classifier, no change") {
  for (const ModelType type : labelled_types) {
    TrainOptions options = semi_supervised(every_third(), /*joint=*/true);
    options.semi_supervised->n_epochs_classifier = 0;
    Scene scene(type, options);
    const State before = copy_state(*scene.model);
    scene.plan().end_epoch();
    CHECK(same_bits(live_state(*scene.model), before));
  }
}

TEST_CASE("end of an epoch: one step is one of Adam on the classifier's loss, at its own learning rate") {
  constexpr double lr = 0.02, eps = 0.01, weight_decay = 0.3;
  const Cells labelled = {0, 1, 2, 5, 7, 9, 10, 30, 31};
  for (const ModelType type : labelled_types) {
    for (const bool double_softmax : {false, true}) {
      TrainOptions options = semi_supervised(labelled, /*joint=*/true);
      options.optimiser.lr = 1;
      options.optimiser.eps = eps;
      options.optimiser.weight_decay = weight_decay;
      options.semi_supervised->lr_classification = lr;
      options.semi_supervised->classification.double_softmax = double_softmax;
      Scene scene(type, options), twin(type, options);
      scene.plan().end_epoch();

      twin.model->named_children()["classifier"]->train();  // the rest stays in evaluation mode
      const Minibatch minibatch = minibatch_of(*twin.toy.dataset, first_labelled(labelled, labelled.size()));
      RandomStream unused(0);
      at::Tensor q = at::exp(twin.model->classify(minibatch.x, minibatch, unused));
      if (double_softmax) q = at::softmax(q, 1);
      (-at::log((q * one_hot_columns(minibatch.label, 3)).sum(1)).mean()).backward();
      const at::NoGradGuard no_grad;
      for (at::Tensor parameter : twin.model->named_children()["classifier"]->parameters()) {
        const at::Tensor gradient = parameter.grad() + weight_decay * parameter;
        parameter.sub_(lr * gradient / (gradient.abs() + eps));
      }
      const State fitted = live_state(*scene.model), expected = live_state(*twin.model);
      for (const auto& item : expected) {
        CAPTURE(item.first);
        CHECK(max_difference(find(fitted, item.first), item.second) < 1e-5);
      }
    }
  }
}

// A classifier that is trained by itself may take two of the three kinds of cells for one: a chance of each training.
TEST_CASE("semi-supervised: with few labels the classifier learns those of the other cells") {
  const Toy toy = toy_data(/*n_cells=*/90);
  constexpr int n_trainings = 8;
  for (const ModelType type : labelled_types) {
    for (const bool joint : {true, false}) {
      CAPTURE(joint);
      TrainOptions options = semi_supervised(cells_from(0, 18), joint);
      options.n_epochs = 25;
      options.batch_size = 18;
      options.semi_supervised->n_epochs_classifier = 5;
      options.frequency = 25;
      options.metrics = {Metric::accuracy};
      options.monitored = {{"unlabelled", cells_from(18, 90)}};
      std::vector<double> accuracies;
      for (int k = 0; k < n_trainings; ++k) {
        const TrainResult result = train_semi_supervised(toy, toy_options_of(type), options, seed + k).result;
        CHECK(result.status == TrainStatus::completed);
        const double accuracy = result.history.back().metrics[0];
        CHECK(accuracy > (joint ? 0.85 : 0.6));  // by chance: a third
        accuracies.push_back(accuracy);
      }
      std::sort(accuracies.begin(), accuracies.end());
      CHECK(accuracies[joint ? 1 : n_trainings / 2] > 0.9);  // of at least half
    }
  }
}
