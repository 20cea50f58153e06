#include "core/training/lr_schedule.h"

#include <cmath>

#include "core/base/errors.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("learning rate: constant, or half a cosine from its start to nearly 0") {
  CHECK(scheduled_lr(LrSchedule::constant, 0.3, 7, 9) == 0.3);
  CHECK(scheduled_lr(LrSchedule::cosine, 0.3, 1, 4) == doctest::Approx(0.3));
  CHECK(scheduled_lr(LrSchedule::cosine, 0.3, 2, 4) == doctest::Approx(0.3 * (1 + std::sqrt(0.5)) / 2));
  CHECK(scheduled_lr(LrSchedule::cosine, 0.3, 3, 4) == doctest::Approx(0.15));
  CHECK(scheduled_lr(LrSchedule::cosine, 0.3, 4, 4) == doctest::Approx(0.3 * (1 - std::sqrt(0.5)) / 2));
  CHECK(scheduled_lr(LrSchedule::cosine, 0.3, 1, 1) == doctest::Approx(0.3));
  CHECK(parse_lr_schedule("constant") == LrSchedule::constant);
  CHECK(parse_lr_schedule("cosine") == LrSchedule::cosine);
  CHECK_THROWS_WITH_AS(parse_lr_schedule("linear"), R"(lr_schedule must be "constant" or "cosine", not "linear")",
                       InvalidArgument);
}

TEST_CASE("learning rate: training uses what the history says") {
  const Toy toy = toy_data();
  TrainOptions options = quick_training(/*n_epochs=*/4);
  const Trained constant = train_toy(toy, options);
  options.lr_schedule = LrSchedule::cosine;
  const Trained cosine = train_toy(toy, options);
  for (int epoch = 1; epoch <= 4; ++epoch) {
    CHECK(constant.result.history[epoch].lr == 0.01);
    CHECK(cosine.result.history[epoch].lr == scheduled_lr(LrSchedule::cosine, 0.01, epoch, 4));
  }
  // The first epoch has the full rate, and so its loss; its weights then move less.
  CHECK(cosine.result.history[1].loss == constant.result.history[1].loss);
  CHECK_FALSE(same_bits(cosine.state(), constant.state()));
  const Vae fresh = toy_model(toy_options());
  const auto moved = [&](const Trained& trained) {
    return max_difference(find(trained.state(), "px_r"), find(live_state(*fresh), "px_r"));
  };
  CHECK(moved(cosine) < moved(constant));
}
