// What training leaves behind when it does not get to its end: interruption, and losses that are not numbers.
#include <cmath>
#include <limits>

#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t steps_an_epoch = 3;  // 60 cells, 20 a minibatch

// Trains on data that `spoil` spoils after epoch 2.
Trained train_with_accident(Toy& toy, const TrainOptions& options, const std::function<void(Toy&)>& spoil,
                            const std::function<void(Toy&)>& mend = nullptr) {
  QuietMonitor monitor;
  monitor.after_epoch = [&](std::int64_t epoch) {
    if (epoch == 2) spoil(toy);
    if (epoch == 3 && mend) mend(toy);
  };
  return train_toy(toy, options, 1, {}, &monitor);
}

// One cell with an infinite count: its minibatch's loss is not finite, and the running statistics are lost.
void spoil_one_cell(Toy& toy) { toy.counts->x[0] = std::numeric_limits<double>::infinity(); }

// No loss is finite any more, but the weights stay sound.
void spoil_every_loss(Toy& toy) {
  std::fill(toy.dataset->local_var.begin(), toy.dataset->local_var.end(), std::nanf(""));
}

State state_after(std::int64_t n_epochs) { return train_toy(toy_data(), quick_training(n_epochs)).state(); }

}  // namespace

TEST_CASE("interruption: between minibatches, with all that was learnt") {
  const Toy toy = toy_data();
  QuietMonitor monitor(/*stop_at=*/steps_an_epoch + 1);
  const Trained trained = train_toy(toy, quick_training(10), 1, {}, &monitor);
  CHECK(trained.result.status == TrainStatus::interrupted);
  CHECK(trained.result.iterations == steps_an_epoch);
  CHECK(trained.result.epoch == 2);
  CHECK(monitor.n_asked == steps_an_epoch + 1);
  CHECK(same_bits(trained.state(), state_after(1)));
  CHECK_FALSE(trained.model->is_training());
}

TEST_CASE("interruption: in the middle of an epoch") {
  const Toy toy = toy_data();
  QuietMonitor monitor(/*stop_at=*/steps_an_epoch + 3);
  const Trained trained = train_toy(toy, quick_training(10), 1, {}, &monitor);
  CHECK(trained.result.iterations == steps_an_epoch + 2);
  REQUIRE(trained.result.history.size() == 3);
  CHECK(std::isfinite(trained.result.history[2].loss));  // of the two minibatches that were
  CHECK(is_finite(*trained.model));
  CHECK_FALSE(same_bits(trained.state(), state_after(1)));
  CHECK_FALSE(same_bits(trained.state(), state_after(2)));
}

TEST_CASE("interruption: before the first minibatch nothing has changed") {
  const Toy toy = toy_data();
  QuietMonitor monitor(/*stop_at=*/1);
  const Trained trained = train_toy(toy, quick_training(10), 1, {}, &monitor);
  CHECK(trained.result.status == TrainStatus::interrupted);
  CHECK(trained.result.iterations == 0);
  CHECK(same_bits(trained.state(), live_state(*toy_model(toy_options()))));
}

TEST_CASE("divergence: spoilt weights are put back to the last sound epoch") {
  Toy toy = toy_data();
  const Trained trained = train_with_accident(toy, quick_training(10), spoil_one_cell);
  CHECK(trained.result.status == TrainStatus::diverged);
  CHECK(trained.result.epoch == 3);
  CHECK(trained.result.sound_epoch == 2);
  CHECK(trained.result.history.size() == 3);  // 0, 1 and 2
  CHECK(same_bits(trained.state(), state_after(2)));
  CHECK_FALSE(trained.model->is_training());
}

TEST_CASE("divergence: max_nans losses in a row end training, at the last epoch whose weights gave a finite loss") {
  Toy toy = toy_data();
  TrainOptions options = quick_training(10);
  options.max_nans = steps_an_epoch + 1;
  const Trained trained = train_with_accident(toy, options, spoil_every_loss);
  CHECK(trained.result.status == TrainStatus::diverged);
  CHECK(trained.result.epoch == 4);
  CHECK(trained.result.iterations == 3 * steps_an_epoch + 1);
  CHECK(trained.result.sound_epoch == 1);  // nobody has seen a loss of epoch 2's weights
  CHECK(same_bits(trained.state(), state_after(1)));
  CHECK(std::isnan(trained.result.history[3].loss));
}

TEST_CASE("divergence: from the start gives back the start") {
  Toy toy = toy_data();
  spoil_every_loss(toy);
  const Trained trained = train_toy(toy, quick_training(10));
  CHECK(trained.result.status == TrainStatus::diverged);
  CHECK(trained.result.sound_epoch == 0);
  CHECK(trained.result.iterations == 10);  // max_nans
  CHECK(same_bits(trained.state(), live_state(*toy_model(toy_options()))));
}

TEST_CASE("divergence: fewer losses in a row that are not numbers are stepped over") {
  Toy toy = toy_data();
  const std::vector<float> sound = toy.dataset->local_var;
  const Trained trained = train_with_accident(toy, quick_training(5), spoil_every_loss,
                                              [&](Toy& t) { t.dataset->local_var = sound; });
  CHECK(trained.result.status == TrainStatus::completed);
  CHECK(trained.result.iterations == 5 * steps_an_epoch);
  REQUIRE(trained.result.history.size() == 6);
  CHECK(std::isnan(trained.result.history[3].loss));
  CHECK(std::isfinite(trained.result.history[4].loss));
  CHECK(trained.result.history[5].loss < trained.result.history[1].loss);
  CHECK(is_finite(*trained.model));
}

TEST_CASE("divergence: a learning rate beyond reason is noticed, and the model still works") {
  const Toy toy = toy_data();
  TrainOptions options = quick_training(30);
  options.optimiser.lr = 1e30;
  const Trained trained = train_toy(toy, options);
  CHECK(trained.result.status == TrainStatus::diverged);
  CHECK(is_finite(*trained.model));
  CHECK(same_bits(trained.state(), live_state(*toy_model(toy_options()))));
}
