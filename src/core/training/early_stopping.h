// When to stop, and when to lower the learning rate (scvi 0.6.8, inference/trainer.py; mistakes 6.1.4-5 mended).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace rscvi {

struct EarlyStoppingOptions {
  std::int64_t patience = 15;  // epochs without improvement after which training stops
  double threshold = 3;        // in units of the metric: a smaller gain is no improvement
  bool reduce_lr_on_plateau = false;
  std::int64_t lr_patience = 10;
  double lr_factor = 0.5;
};

// Watches one metric that is to become small.
class EarlyStopping {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options) : options_(options) {}

  struct Verdict {
    bool stop = false;
    bool reduce_lr = false;
  };

  // The metric after one more epoch. The first value is the start that later ones are held against.
  Verdict observe(double metric) {
    Verdict verdict;
    if (wait_ >= options_.patience) {
      verdict.stop = true;
      return verdict;
    }
    // A metric that is not a number is no gain, and nothing to hold later ones against.
    const bool is_number = metric == metric;
    const double gain = !is_number ? 0.0 : best_ ? *best_ - metric : std::numeric_limits<double>::infinity();
    if (is_number && gain > 0) best_ = metric;
    if (!is_number || gain < options_.threshold) {
      ++wait_;
      ++wait_lr_;
    } else {
      wait_ = wait_lr_ = 0;
    }
    if (options_.reduce_lr_on_plateau && wait_lr_ >= options_.lr_patience) {
      verdict.reduce_lr = true;
      wait_lr_ = 0;
    }
    return verdict;
  }

 private:
  EarlyStoppingOptions options_;
  std::optional<double> best_;
  std::int64_t wait_ = 0, wait_lr_ = 0;
};

}  // namespace rscvi
