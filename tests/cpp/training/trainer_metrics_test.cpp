// What training watches: metrics in the history, early stopping, the best state.
#include <algorithm>
#include <cmath>

#include "core/base/errors.h"
#include "core/posterior/annotation.h"
#include "core/posterior/likelihood.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

const Cells train_cells = cells_from(0, 45), test_cells = cells_from(45, 60);

TrainOptions watched_training(std::int64_t n_epochs) {
  TrainOptions options = quick_training(n_epochs);
  options.monitored = {{"train_set", train_cells}, {"test_set", test_cells}};
  return options;
}

// Makes held-out cells improbable from this moment on, whatever the model.
void spoil_test_cells(const Toy& toy) {
  for (const std::int64_t cell : test_cells) toy.dataset->local_mean[cell] += 1000;
}

}  // namespace

TEST_CASE("metrics: names of metrics, parsed and printed") {
  CHECK(parse_metric("metrics", "elbo") == Metric::elbo);
  CHECK(parse_metric("metrics", "reconstruction_error") == Metric::reconstruction_error);
  CHECK(name_of(Metric::elbo) == "elbo");
  CHECK(name_of(Metric::reconstruction_error) == "reconstruction_error");
  CHECK(parse_metric("metrics", "accuracy") == Metric::accuracy);
  CHECK(name_of(Metric::accuracy) == "accuracy");
  CHECK_THROWS_WITH_AS(parse_metric("on", "purity"),
                       R"(on must be "elbo", "reconstruction_error" or "accuracy", not "purity")", InvalidArgument);
}

TEST_CASE("metrics: computed before the first epoch, every `frequency` epochs and after the last, else missing") {
  const Toy toy = toy_data();
  TrainOptions options = watched_training(5);
  options.frequency = 2;
  options.metrics = {Metric::elbo, Metric::reconstruction_error};
  const TrainResult result = train_toy(toy, options, 1, train_cells).result;
  CHECK(result.metric_names == std::vector<std::string>{"elbo_train_set", "reconstruction_error_train_set",
                                                        "elbo_test_set", "reconstruction_error_test_set"});
  REQUIRE(result.history.size() == 6);
  for (int epoch = 0; epoch <= 5; ++epoch) {
    CAPTURE(epoch);
    CHECK(result.history[epoch].epoch == epoch);
    CHECK(std::isnan(result.history[epoch].loss) == (epoch == 0));
    REQUIRE(result.history[epoch].metrics.size() == 4);
    const bool due = epoch == 0 || epoch == 2 || epoch == 4 || epoch == 5;
    for (const double value : result.history[epoch].metrics) CHECK(std::isfinite(value) == due);
  }
}

TEST_CASE("metrics: frequency 0 computes none, and a set of fewer than five cells has none") {
  const Toy toy = toy_data();
  TrainOptions options = watched_training(2);
  for (const HistoryRow& row : train_toy(toy, options).result.history) {
    for (const double value : row.metrics) CHECK(std::isnan(value));
  }
  options.frequency = 1;
  options.monitored = {{"tiny", {1, 2, 3, 4}}, {"small", {1, 2, 3, 4, 5}}};
  for (const HistoryRow& row : train_toy(toy, options).result.history) {
    CHECK(std::isnan(row.metrics[0]));
    CHECK(std::isfinite(row.metrics[1]));
  }
}

TEST_CASE("metrics: the values are those of a posterior over the set's cells") {
  constexpr std::uint64_t seed = 3;
  const Toy toy = toy_data();
  TrainOptions options = watched_training(1);
  options.frequency = 1;
  options.metrics = {Metric::elbo, Metric::reconstruction_error};
  const TrainResult result = train_toy(toy, options, seed, train_cells).result;
  RandomStream random = RandomStream(seed).split(stream::monitoring);
  std::vector<double> expected;
  for (const auto& set : options.monitored) {
    Posterior posterior = posterior_of(toy_model(toy_options(), seed), toy, options.batch_size);
    posterior.cells = set.cells;
    const MeanLossTerms terms = mean_loss_terms(posterior, Noise(), random);
    expected.push_back(terms.reconst_loss + terms.kl_z + terms.kl_l);
    expected.push_back(terms.reconst_loss);
  }
  CHECK(result.history[0].metrics == expected);
  CHECK(result.history[1].metrics[2] < expected[2]);
}

TEST_CASE("metrics: watching does not change training, bit for bit") {
  const Toy toy = toy_data();
  TrainOptions options = watched_training(4);
  const State unwatched = train_toy(toy, options, 1, train_cells).state();
  options.frequency = 1;
  CHECK(same_bits(train_toy(toy, options, 1, train_cells).state(), unwatched));
  options.early_stopping = EarlyStoppingOptions();  // its patience outlasts the training
  CHECK(same_bits(train_toy(toy, options, 1, train_cells).state(), unwatched));
}

TEST_CASE("early stopping: training ends when patience does") {
  const Toy toy = toy_data();
  TrainOptions options = watched_training(50);
  options.early_stopping = EarlyStoppingOptions();
  options.early_stopping->patience = 2;
  options.early_stopping->threshold = 1e9;  // nothing is an improvement
  QuietMonitor monitor;
  const Trained trained = train_toy(toy, options, 1, train_cells, &monitor);
  // Epoch 1 is the start, 2 and 3 are waited for, 4 is where waiting ends.
  CHECK(trained.result.status == TrainStatus::stopped_early);
  CHECK(trained.result.epoch == 4);
  CHECK(trained.result.history.size() == 5);
  CHECK(monitor.reports.size() == 4);
  CHECK(same_bits(trained.state(), train_toy(toy, watched_training(4), 1, train_cells).state()));
}

TEST_CASE("early stopping: the learning rate falls on a plateau, and the history tells") {
  const Toy toy = toy_data();
  TrainOptions options = watched_training(5);
  options.early_stopping = EarlyStoppingOptions();
  options.early_stopping->threshold = 1e9;
  options.early_stopping->reduce_lr_on_plateau = true;
  options.early_stopping->lr_patience = 1;
  const Trained trained = train_toy(toy, options, 1, train_cells);
  REQUIRE(trained.result.history.size() == 6);
  const double expected[] = {0.01, 0.01, 0.005, 0.0025, 0.00125};
  for (int epoch = 1; epoch <= 5; ++epoch) {
    CHECK(trained.result.history[epoch].lr == doctest::Approx(expected[epoch - 1]));
  }
  CHECK(std::isnan(trained.result.history[0].lr));
  CHECK_FALSE(same_bits(trained.state(), train_toy(toy, watched_training(5), 1, train_cells).state()));
}

TEST_CASE("best state: the weights of the best epoch come back, bit for bit") {
  Toy toy = toy_data();
  QuietMonitor monitor;
  monitor.after_epoch = [&](std::int64_t epoch) {
    if (epoch == 3) spoil_test_cells(toy);
  };
  TrainOptions options = watched_training(7);
  options.save_best_state_metric = Metric::elbo;
  const Trained trained = train_toy(toy, options, 1, train_cells, &monitor);
  REQUIRE(trained.result.best_epoch);
  const std::int64_t best = *trained.result.best_epoch;
  REQUIRE(best >= 1);
  REQUIRE(best <= 3);
  CHECK(trained.result.status == TrainStatus::completed);
  CHECK(trained.result.epoch == 7);
  CHECK(same_bits(trained.state(), train_toy(toy, watched_training(best), 1, train_cells).state()));
}

TEST_CASE("best state: the best epoch is where the history has its smallest value, whatever the frequency") {
  const Toy toy = toy_data();
  for (const std::int64_t frequency : {0, 1, 3}) {
    TrainOptions options = watched_training(8);
    options.optimiser.lr = 0.1;
    options.frequency = frequency;
    options.save_best_state_metric = Metric::elbo;
    const TrainResult result = train_toy(toy, options, 1, train_cells).result;
    REQUIRE(result.metric_names[1] == "elbo_test_set");
    std::int64_t smallest = 0;
    for (std::int64_t epoch = 0; epoch <= 8; ++epoch) {
      const double value = result.history[epoch].metrics[1];
      CHECK(std::isfinite(value));
      if (value < result.history[smallest].metrics[1]) smallest = epoch;
    }
    CHECK(result.best_epoch == smallest);
  }
}

TEST_CASE("best state: a training that makes it only worse gives back the start") {
  Toy toy = toy_data();
  QuietMonitor monitor;
  monitor.before_minibatch = [&](std::int64_t n) {
    if (n == 1) spoil_test_cells(toy);
  };
  TrainOptions options = watched_training(3);
  options.save_best_state_metric = Metric::elbo;
  const Trained trained = train_toy(toy, options, 1, train_cells, &monitor);
  REQUIRE(trained.result.best_epoch);
  CHECK(*trained.result.best_epoch == 0);
  CHECK(same_bits(trained.state(), live_state(*toy_model(toy_options()))));
}

TEST_CASE("best state: reconstruction error can be the judge, and sees no prior") {
  Toy toy = toy_data();
  TrainOptions options = watched_training(4);
  options.save_best_state_metric = Metric::reconstruction_error;
  const std::optional<std::int64_t> expected = train_toy(toy, options, 1, train_cells).result.best_epoch;
  QuietMonitor monitor;
  monitor.after_epoch = [&](std::int64_t epoch) {
    if (epoch == 1) spoil_test_cells(toy);
  };
  CHECK(train_toy(toy, options, 1, train_cells, &monitor).result.best_epoch == expected);
}

TEST_CASE("early stopping: looks at a set that is there and large enough") {
  const Toy toy = toy_data();
  for (const bool by_state : {false, true}) {
    TrainOptions options = watched_training(2);
    if (by_state) {
      options.save_best_state_metric = Metric::elbo;
    } else {
      options.early_stopping = EarlyStoppingOptions();
    }
    options.on = "other_set";
    CHECK_THROWS_WITH_AS(train_toy(toy, options),
                         "early stopping looks at 'other_set', but the trainer has no set of that name",
                         InvalidArgument);
    options.monitored.push_back({"other_set", {1, 2, 3, 4}});
    CHECK_THROWS_WITH_AS(train_toy(toy, options),
                         "early stopping looks at 'other_set', which has 4 cells; at least 5 are needed: lower "
                         "train_size",
                         InvalidArgument);
  }
}

namespace {

TrainOptions labelled_training(std::int64_t n_epochs) {
  TrainOptions options = watched_training(n_epochs);
  options.semi_supervised.emplace();
  options.semi_supervised->labelled_cells = cells_from(0, 30);
  options.metrics = {Metric::accuracy, Metric::elbo};
  return options;
}

Trained train_scanvi(const Toy& toy, const TrainOptions& options) {
  QuietMonitor silent;
  Trained trained{toy_model(toy_options_of(ModelType::scanvi)), TrainResult()};
  trained.result = train(trained.model, toy.dataset, train_cells, options, RandomStream(1), silent);
  return trained;
}

double accuracy_on(const Vae& model, const Toy& toy, const Cells& cells) {
  Posterior posterior = posterior_of(model, toy);
  posterior.cells = cells;
  return accuracy(posterior);
}

}  // namespace

TEST_CASE("metrics: accuracy is that of a posterior over the set's cells, before training and after") {
  const Toy toy = toy_data();
  toy.dataset->label[50] = -1;  // one held-out cell has no label
  TrainOptions options = labelled_training(4);
  options.frequency = 2;
  const Trained trained = train_scanvi(toy, options);
  CHECK(trained.result.metric_names == std::vector<std::string>{"accuracy_train_set", "elbo_train_set",
                                                                "accuracy_test_set", "elbo_test_set"});
  const Vae fresh = toy_model(toy_options_of(ModelType::scanvi));
  for (const auto& row : {std::make_pair(0, fresh), std::make_pair(4, trained.model)}) {
    const std::vector<double>& values = trained.result.history[row.first].metrics;
    CHECK(values[0] == accuracy_on(row.second, toy, train_cells));
    CHECK(values[2] == accuracy_on(row.second, toy, test_cells));
  }
  CHECK(std::isnan(trained.result.history[1].metrics[0]));
}

TEST_CASE("metrics: a set without labels has no accuracy, and its other metrics all the same") {
  const Toy toy = toy_data();
  for (const std::int64_t cell : test_cells) toy.dataset->label[cell] = -1;
  TrainOptions options = labelled_training(1);
  options.frequency = 1;
  const TrainResult result = train_scanvi(toy, options).result;
  for (const HistoryRow& row : result.history) {
    CHECK(std::isfinite(row.metrics[0]));
    CHECK(std::isnan(row.metrics[2]));
    CHECK(std::isfinite(row.metrics[3]));
  }
}

TEST_CASE("metrics: larger is better for accuracy alone") {
  CHECK_FALSE(smaller_is_better(Metric::accuracy));
  CHECK(smaller_is_better(Metric::elbo));
  CHECK(smaller_is_better(Metric::reconstruction_error));
}

TEST_CASE("best state: by accuracy, the first epoch of the largest") {
  const Toy toy = toy_data();
  TrainOptions options = labelled_training(8);
  options.save_best_state_metric = Metric::accuracy;
  const Trained trained = train_scanvi(toy, options);
  std::int64_t best = 0;
  const auto accuracy_after = [&](std::int64_t epoch) { return trained.result.history[epoch].metrics[2]; };
  for (std::int64_t epoch = 1; epoch <= 8; ++epoch) {
    if (accuracy_after(epoch) > accuracy_after(best)) best = epoch;
  }
  CHECK(accuracy_after(best) > accuracy_after(0));
  CHECK(trained.result.best_epoch == best);
  CHECK(accuracy_on(trained.model, toy, test_cells) == accuracy_after(best));
  options.save_best_state_metric = std::nullopt;
  options.n_epochs = best;
  CHECK(same_bits(trained.state(), train_scanvi(toy, options).state()));
}

TEST_CASE("early stopping: by accuracy, a rise is the improvement") {
  const Toy toy = toy_data();
  TrainOptions options = labelled_training(60);
  options.early_stopping = EarlyStoppingOptions();
  options.early_stopping_metric = Metric::accuracy;
  options.early_stopping->patience = 3;
  options.early_stopping->threshold = 0.01;
  const TrainResult result = train_scanvi(toy, options).result;
  // Followed by hand: the first epoch is the start, and waiting ends one epoch after patience.
  double best = result.history[1].metrics[2];
  std::int64_t wait = 0, stop = 0;
  for (std::int64_t epoch = 2; epoch <= result.epoch && stop == 0; ++epoch) {
    if (wait >= 3) {
      stop = epoch;
      break;
    }
    const double gain = result.history[epoch].metrics[2] - best;
    best = std::max(best, result.history[epoch].metrics[2]);
    wait = gain < 0.01 ? wait + 1 : 0;
  }
  CHECK(result.status == TrainStatus::stopped_early);
  CHECK(result.epoch == stop);
}
