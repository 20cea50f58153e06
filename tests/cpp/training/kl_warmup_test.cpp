#include "core/training/kl_warmup.h"

#include "test.h"

using namespace rscvi;

TEST_CASE("KL warm-up: the table of weights") {
  struct Example {
    std::optional<std::int64_t> epochs, iterations;
    std::int64_t epochs_done, iterations_done;
    double weight;
  };
  const auto none = std::nullopt;
  const Example table[] = {
      {400, none, 0, 0, 0.0},     {400, none, 1, 999, 0.0025}, {400, none, 399, 0, 0.9975}, {400, none, 400, 0, 1.0},
      {400, none, 900, 0, 1.0},   {1, none, 0, 0, 0.0},        {1, none, 1, 0, 1.0},        {5, none, 2, 0, 0.4},
      {0, none, 0, 0, 1.0},       {0, none, 7, 0, 1.0},        {none, 10, 99, 0, 0.0},      {none, 10, 0, 3, 0.3},
      {none, 10, 0, 10, 1.0},     {none, 10, 0, 11, 1.0},      {none, 0, 0, 0, 1.0},        {none, none, 0, 0, 1.0},
      {10, 1000, 5, 1, 0.5},  // epochs rule where both are given
  };
  for (const Example& example : table) {
    KlWarmup warmup;
    warmup.epochs = example.epochs;
    warmup.iterations = example.iterations;
    CAPTURE(example.weight);
    CHECK(warmup.weight(example.epochs_done, example.iterations_done) == doctest::Approx(example.weight));
  }
  for (const double most : {0.0, 0.5, 2.0}) {
    KlWarmup warmup;
    warmup.max_weight = most;
    CHECK(warmup.weight(100, 0) == doctest::Approx(0.25 * most));
    warmup.epochs = none;
    CHECK(warmup.weight(0, 0) == most);
    warmup.iterations = 10;
    CHECK(warmup.weight(0, 3) == doctest::Approx(0.3 * most));
    CHECK(warmup.weight(0, 12) == most);
  }
  CHECK(KlWarmup().weight(100, 0) == doctest::Approx(0.25));  // 400 epochs unless said otherwise
}
