// Losses that are looked at when an epoch is over, as on a GPU: the same comes out as from looking at each in turn.
#include <cmath>
#include <limits>

#include "core/training/trainer.h"
#include "helpers.h"
#include "host_reads.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t steps_an_epoch = 3;  // 60 cells, 20 a minibatch

TrainOptions with_checks(TrainOptions options, bool deferred) {
  options.deferred_checks = deferred;
  return options;
}

using Accident = std::function<void(Toy& toy, std::int64_t epoch)>;

Trained train_with(const TrainOptions& options, const Accident& after_epoch = nullptr, std::int64_t stop_at = 0) {
  Toy toy = toy_data();
  QuietMonitor monitor(stop_at);
  if (after_epoch) monitor.after_epoch = [&](std::int64_t epoch) { after_epoch(toy, epoch); };
  return train_toy(toy, options, 1, {}, &monitor);
}

bool same_number(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Returns the result of deferred checks, after holding it against that of immediate ones.
TrainResult check_same(const TrainOptions& options, const Accident& after_epoch = nullptr, std::int64_t stop_at = 0) {
  const Trained now = train_with(with_checks(options, false), after_epoch, stop_at);
  const Trained later = train_with(with_checks(options, true), after_epoch, stop_at);
  CHECK(later.result.status == now.result.status);
  CHECK(later.result.epoch == now.result.epoch);
  CHECK(later.result.iterations == now.result.iterations);
  CHECK(later.result.sound_epoch == now.result.sound_epoch);
  REQUIRE(later.result.history.size() == now.result.history.size());
  for (std::size_t row = 0; row < now.result.history.size(); ++row) {
    CHECK(same_number(later.result.history[row].loss, now.result.history[row].loss));
    CHECK(same_number(later.result.history[row].kl_weight, now.result.history[row].kl_weight));
  }
  CHECK(same_bits(later.state(), now.state()));
  return later.result;
}

void spoil_every_loss(Toy& toy) {
  std::fill(toy.dataset->local_var.begin(), toy.dataset->local_var.end(), std::nanf(""));
}

// One minibatch of each epoch from the third to the fourth has a loss that is no number, and all weights stay sound.
void spoil_one_loss(Toy& toy, std::int64_t epoch) {
  toy.dataset->local_var[5] = epoch == 2 || epoch == 3 ? std::nanf("") : toy.dataset->local_var[4];  // of one batch
}

}  // namespace

TEST_CASE("deferred checks: sound training, to the bit, with warm-up by iterations") {
  TrainOptions options = quick_training(4);
  CHECK(check_same(options).status == TrainStatus::completed);
  options.kl_warmup = {std::nullopt, 7};
  CHECK(check_same(options).iterations == 4 * steps_an_epoch);
}

TEST_CASE("deferred checks: interrupted in the middle of an epoch") {
  const TrainResult result = check_same(quick_training(10), nullptr, /*stop_at=*/steps_an_epoch + 3);
  CHECK(result.status == TrainStatus::interrupted);
  CHECK(result.iterations == steps_an_epoch + 2);
}

TEST_CASE("deferred checks: a minibatch without a finite loss is stepped over") {
  const TrainResult result = check_same(quick_training(6), spoil_one_loss);
  CHECK(result.status == TrainStatus::completed);
  const Trained undisturbed = train_with(with_checks(quick_training(6), true));
  CHECK(result.history[2].loss == undisturbed.result.history[2].loss);
  CHECK(result.history[3].loss != undisturbed.result.history[3].loss);
}

TEST_CASE("deferred checks: divergence, at the end of its epoch, with the counts of the step where it was") {
  const auto spoil = [](Toy& toy, std::int64_t epoch) {
    if (epoch == 2) spoil_every_loss(toy);
  };
  TrainOptions options = quick_training(10);
  options.max_nans = steps_an_epoch + 1;
  const TrainResult result = check_same(options, spoil);
  CHECK(result.status == TrainStatus::diverged);
  CHECK(result.iterations == 3 * steps_an_epoch + 1);
  CHECK(result.sound_epoch == 1);

  const auto spoil_weights = [](Toy& toy, std::int64_t epoch) {
    if (epoch == 2) toy.counts->x[0] = std::numeric_limits<double>::infinity();
  };
  CHECK(check_same(quick_training(10), spoil_weights).sound_epoch == 2);
}

TEST_CASE("deferred checks: by Adam's operators too, near the kernel of the CPU") {
  TrainOptions options = with_checks(quick_training(6), true);
  const State expected = train_with(options, spoil_one_loss).state();
  options.optimiser.by_operators = true;
  const State got = train_with(options, spoil_one_loss).state();
  REQUIRE(got.size() == expected.size());
  for (std::size_t k = 0; k < got.size(); ++k) {
    CAPTURE(got[k].first);
    CHECK(max_relative_difference(got[k].second, expected[k].second) < 1e-3);
  }
}

TEST_CASE("deferred checks: the host reads no value between the steps of an epoch") {
  const auto reads = [](bool deferred, std::int64_t batch_size) {
    TrainOptions options = with_checks(quick_training(2), deferred);
    options.optimiser.by_operators = true;
    options.batch_size = batch_size;
    return host_reads([&] { train_with(options); });
  };
  CHECK(reads(true, 20) == reads(true, 5));
  CHECK(reads(false, 20) + 2 * 9 == reads(false, 5));  // 3 and 12 steps an epoch, each read once
}
