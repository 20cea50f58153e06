#include "core/training/early_stopping.h"

#include <cmath>
#include <vector>

#include "test.h"

using namespace rscvi;

namespace {

struct Step {
  double metric;
  bool stop, reduce_lr;
};

void follow(const EarlyStoppingOptions& options, const std::vector<Step>& steps) {
  EarlyStopping watch(options);
  for (std::size_t k = 0; k < steps.size(); ++k) {
    CAPTURE(k);
    const EarlyStopping::Verdict verdict = watch.observe(steps[k].metric);
    CHECK(verdict.stop == steps[k].stop);
    CHECK(verdict.reduce_lr == steps[k].reduce_lr);
  }
}

EarlyStoppingOptions options_with(std::int64_t patience, double threshold) {
  EarlyStoppingOptions options;
  options.patience = patience;
  options.threshold = threshold;
  return options;
}

}  // namespace

TEST_CASE("early stopping: a sequence worked by hand, patience 3 and threshold 1") {
  follow(options_with(3, 1), {
                                 {100, false, false},   // the start
                                 {98, false, false},    // gain 2
                                 {97.5, false, false},  // gain 0.5: wait 1, but the best is 97.5 from here on
                                 {97.4, false, false},  // wait 2
                                 {96, false, false},    // gain 1.4: wait 0
                                 {97, false, false},    // worse: wait 1, the best stays
                                 {95, false, false},    // gain 1 is enough: wait 0
                                 {94.5, false, false},  // wait 1
                                 {94, false, false},    // wait 2: half a nat at a time is no improvement
                                 {93.5, false, false},  // wait 3
                                 {10, true, false},     // patience is over whatever comes
                             });
}

TEST_CASE("early stopping: the learning rate falls on a plateau, again after each lr_patience") {
  EarlyStoppingOptions options = options_with(5, 1);
  options.reduce_lr_on_plateau = true;
  options.lr_patience = 2;
  follow(options, {
                      {10, false, false},
                      {10, false, false},  // wait 1, wait_lr 1
                      {10, false, true},   // wait 2, wait_lr 2 and back to 0
                      {10, false, false},  // wait 3, wait_lr 1
                      {10, false, true},   // wait 4
                      {10, false, false},  // wait 5
                      {10, true, false},
                  });
  options.reduce_lr_on_plateau = false;
  follow(options, {{10, false, false}, {10, false, false}, {10, false, false}, {10, false, false}});
}

TEST_CASE("early stopping: NaN is no improvement and does not spoil the best") {
  follow(options_with(2, 1), {
                                 {10, false, false},
                                 {std::nan(""), false, false},  // wait 1
                                 {8, false, false},             // gain 2 on the 10
                                 {std::nan(""), false, false},
                                 {std::nan(""), false, false},
                                 {1, true, false},
                             });
}

TEST_CASE("early stopping: defaults are those of scvi 0.6.8") {
  const EarlyStoppingOptions options;
  CHECK(options.patience == 15);
  CHECK(options.threshold == 3);
  CHECK_FALSE(options.reduce_lr_on_plateau);
  CHECK(options.lr_patience == 10);
  CHECK(options.lr_factor == 0.5);
}

TEST_CASE("early stopping: a metric that is not a number is no gain, and no best value either") {
  follow(options_with(3, 1), {
                                 {std::nan(""), false, false},  // wait 1
                                 {100, false, false},           // the start: wait 0
                                 {std::nan(""), false, false},  // wait 1
                                 {98, false, false},            // gain 2: wait 0
                                 {98, false, false},
                                 {98, false, false},
                                 {98, false, false},  // wait 3
                                 {98, true, false},
                             });
}
