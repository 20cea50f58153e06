#include "core/training/trainer.h"

#include <cmath>

#include "core/base/errors.h"
#include "core/base/precision.h"
#include "core/posterior/likelihood.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

double held_out_loss(const Vae& model, const Toy& toy, const Cells& cells) {
  Posterior posterior = posterior_of(model, toy);
  posterior.cells = cells;
  RandomStream random(99);
  return mean_loss_terms(posterior, Noise(), random).negative_elbo();
}

}  // namespace

TEST_CASE("training: lowers the loss, on cells it has not seen too") {
  const Toy toy = toy_data(/*n_cells=*/150);
  const Cells seen = cells_from(0, 120), unseen = cells_from(120, 150);
  const double before = held_out_loss(toy_model(toy_options()), toy, unseen);
  const Trained trained = train_toy(toy, quick_training(20), 1, seen);
  const auto& history = trained.result.history;
  REQUIRE(history.size() == 21);
  CHECK(trained.result.status == TrainStatus::completed);
  CHECK(history[20].loss < history[1].loss - 5);
  CHECK(held_out_loss(trained.model, toy, unseen) < before - 5);
  CHECK_FALSE(trained.model->is_training());
}

TEST_CASE("training: one seed gives the same bits, another seed others") {
  const Toy toy = toy_data();
  const Trained first = train_toy(toy, quick_training(3), 1), again = train_toy(toy, quick_training(3), 1);
  CHECK(same_bits(first.state(), again.state()));
  for (int row = 1; row <= 3; ++row) CHECK(first.result.history[row].loss == again.result.history[row].loss);
  CHECK_FALSE(same_bits(first.state(), train_toy(toy, quick_training(3), 2).state()));
}

TEST_CASE("training: the seed decides order and noise, not just the start") {
  const Toy toy = toy_data();
  const auto from_one_start = [&](std::uint64_t seed) {
    Vae model = toy_model(toy_options());
    QuietMonitor monitor;
    train(model, toy.dataset, cells_from(0, 60), quick_training(2), RandomStream(seed), monitor);
    return copy_state(*model);
  };
  CHECK(same_bits(from_one_start(5), from_one_start(5)));
  CHECK_FALSE(same_bits(from_one_start(5), from_one_start(6)));
}

TEST_CASE("training: a last minibatch of one or two cells is skipped, one of three is not") {
  struct Example {
    std::int64_t n_cells, iterations_an_epoch;
  };
  const Toy toy = toy_data();
  for (const Example& example : {Example{16, 2}, Example{17, 2}, Example{18, 2}, Example{19, 3}, Example{7, 1}}) {
    CAPTURE(example.n_cells);
    TrainOptions options = quick_training(3);
    options.batch_size = 8;
    const Trained trained = train_toy(toy, options, 1, cells_from(0, example.n_cells));
    CHECK(trained.result.iterations == 3 * example.iterations_an_epoch);
    const State state = trained.state();
    CHECK(find(state, "l_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked").item<std::int64_t>() ==
          trained.result.iterations);
  }
}

TEST_CASE("training: in bfloat16, where the processor knows it, steps differ a little") {
  const Toy toy = toy_data(/*n_cells=*/150);
  VaeOptions wide = toy_options();
  wide.n_hidden = 4096;  // so that the products of the last layers are large
  TrainOptions options = quick_training(5);
  options.batch_size = 128;
  options.optimiser.lr = 1e-4;
  const auto trained_with = [&](Precision precision) {
    options.precision = precision;
    Trained trained = {toy_model(wide), TrainResult()};
    QuietMonitor monitor;
    trained.result = train(trained.model, toy.dataset, cells_from(0, 150), options, RandomStream(1), monitor);
    return trained;
  };
  const Trained single = trained_with(Precision::single), rounded = trained_with(Precision::bfloat16);
  CHECK(same_bits(single.state(), rounded.state()) == !has_bfloat16_products());
  const double last = single.result.history[5].loss;
  CHECK(std::abs(rounded.result.history[5].loss - last) < 1e-3 * last);
  CHECK(single.result.history[1].loss - last > 0.5 * last);
  CHECK(precision() == Precision::single);
}

TEST_CASE("training: only the training cells are looked at") {
  Toy toy = toy_data();
  const State expected = train_toy(toy, quick_training(3), 1, cells_from(0, 40)).state();
  for (std::size_t k = toy.counts->p[40]; k < toy.counts->x.size(); ++k) toy.counts->x[k] = 1000;
  CHECK(same_bits(train_toy(toy, quick_training(3), 1, cells_from(0, 40)).state(), expected));
}

TEST_CASE("training: the KL weight warms up by epochs, or by iterations that go on counting") {
  const Toy toy = toy_data();  // 3 minibatches an epoch
  const auto weights = [&](const TrainOptions& options) {
    std::vector<double> out;
    const Trained trained = train_toy(toy, options);
    for (std::size_t row = 1; row < trained.result.history.size(); ++row) {
      out.push_back(trained.result.history[row].kl_weight);
    }
    return out;
  };
  TrainOptions options = quick_training(4);
  options.kl_warmup.epochs = 2;
  CHECK(weights(options) == std::vector<double>{0, 0.5, 1, 1});
  options.kl_warmup.epochs = 0;
  CHECK(weights(options) == std::vector<double>{1, 1, 1, 1});
  options.kl_warmup.epochs = std::nullopt;
  options.kl_warmup.iterations = 12;
  CHECK(weights(options) == std::vector<double>{0, 0.25, 0.5, 0.75});
  options.first_iteration = 6;
  CHECK(weights(options) == std::vector<double>{0.5, 0.75, 1, 1});
  CHECK(train_toy(toy, options).result.iterations == 6 + 12);
}

TEST_CASE("training: the weight of a warm-up takes part in training") {
  const Toy toy = toy_data();
  TrainOptions options = quick_training(1);
  const State full = train_toy(toy, options).state();
  options.kl_warmup.epochs = 0;
  CHECK(same_bits(train_toy(toy, options).state(), full));
  options.kl_warmup.epochs = 400;
  CHECK_FALSE(same_bits(train_toy(toy, options).state(), full));
}

TEST_CASE("training: log dispersions rest for so many minibatches, counted over calls") {
  const Toy toy = toy_data();  // 3 minibatches an epoch
  for (const bool own_rate : {false, true}) {
    TrainOptions options = quick_training(2);
    if (own_rate) options.dispersion = DispersionRate{0.05};
    const auto log_theta = [&] { return find(train_toy(toy, options).state(), "px_r"); };
    const at::Tensor start = find(live_state(*toy_model(toy_options())), "px_r");
    options.fixed_dispersion_iterations = 6;
    CHECK(same_bits(log_theta(), start));
    options.fixed_dispersion_iterations = 5;
    const at::Tensor last_step_alone = log_theta();
    CHECK_FALSE(same_bits(last_step_alone, start));
    // Adam's first step is at most its rate.
    CHECK(max_difference(last_step_alone, start) < 1.001 * (own_rate ? 0.05 : options.optimiser.lr));
    options.fixed_dispersion_iterations = 8;
    options.first_iteration = 3;
    CHECK_FALSE(same_bits(log_theta(), start));
    options.first_iteration = 2;
    CHECK(same_bits(log_theta(), start));
  }
}

TEST_CASE("training: on corrupted counts when asked, which is training on those counts") {
  Toy toy = toy_data();
  const auto corrupted = source_of(compress(at::floor(toy.x / 2)));
  TrainOptions options = quick_training(3);
  options.frequency = 1;
  options.monitored = {{"train_set", cells_from(0, 60)}};
  const Trained observed = train_toy(toy, options);

  options.corrupted = true;
  CHECK_THROWS_AS(train_toy(toy, options), InvalidArgument);
  toy.dataset->corrupted = corrupted;
  const Trained on_corrupted = train_toy(toy, options);
  CHECK_FALSE(same_bits(on_corrupted.state(), observed.state()));

  options.corrupted = false;
  CHECK(same_bits(train_toy(toy, options).state(), observed.state()));
  toy.dataset->counts = corrupted;
  const Trained expected = train_toy(toy, options);
  CHECK(same_bits(on_corrupted.state(), expected.state()));
  for (int row = 0; row <= 3; ++row) {  // metrics look at the corrupted counts as well
    CHECK(on_corrupted.result.history[row].metrics == expected.result.history[row].metrics);
  }
}

TEST_CASE("training: fewer than three cells are refused") {
  const Toy toy = toy_data();
  CHECK_THROWS_WITH_AS(train_toy(toy, quick_training(1), 1, {4, 7}),
                       "the training set has 2 cells; at least 3 are needed", InvalidArgument);
}

TEST_CASE("training: LibTorch's global generator stays where it was") {
  const Toy toy = toy_data();
  at::manual_seed(3);
  const at::Tensor expected = at::rand({4});
  at::manual_seed(3);
  train_toy(toy, quick_training(2));
  CHECK(same_bits(at::rand({4}), expected));
}
