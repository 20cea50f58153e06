#include "core/data/corruption.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace rscvi {
namespace {

constexpr double keep_probability_uniform = 0.9;
constexpr double success_probability_binomial = 0.2;

// Uniform draws, made many at a time because a call into LibTorch costs more than a draw.
class UniformBuffer {
 public:
  explicit UniformBuffer(RandomStream& random) : random_(random) {}
  double next() {
    if (at_ == size) {
      values_ = random_.uniform({size}, 0.5);
      at_ = 0;
    }
    return values_.data_ptr<float>()[at_++] + 0.5;
  }

 private:
  static constexpr std::int64_t size = 4096;
  RandomStream& random_;
  at::Tensor values_;
  std::int64_t at_ = size;
};

double binomial(double n, double p, UniformBuffer& uniform) {
  double successes = 0;
  for (double trial = 0; trial < n; ++trial) successes += uniform.next() < p;
  return successes;
}

}  // namespace

std::vector<double> corrupt_counts(const double* x, std::int64_t n_stored, std::int64_t n_entries_total, double rate,
                                   Corruption kind, RandomStream& random) {
  // "Non-zero" means the value, not the storage: an explicit zero is not a candidate for the uniform kind.
  const std::int64_t n_nonzero = n_stored - std::count(x, x + n_stored, 0.0);
  const std::int64_t n_candidates = kind == Corruption::uniform ? n_nonzero : n_entries_total;
  const std::int64_t n_chosen = static_cast<std::int64_t>(std::floor(rate * static_cast<double>(n_candidates)));

  // Selection sampling (Knuth, TAOCP 2, 3.4.2 S), with the non-zero entries first in line. The entries behind them
  // would be chosen from what is left over, but being zeros they need no visit.
  UniformBuffer uniform(random);
  std::vector<double> corrupted(x, x + n_stored);
  std::int64_t seen = 0, chosen = 0;
  for (std::int64_t k = 0; k < n_stored; ++k) {
    if (x[k] == 0.0) continue;
    const double chance = static_cast<double>(n_chosen - chosen) / static_cast<double>(n_candidates - seen);
    ++seen;
    if (uniform.next() >= chance) continue;
    ++chosen;
    if (kind == Corruption::binomial) {
      corrupted[k] = binomial(x[k], success_probability_binomial, uniform);
    } else if (uniform.next() >= keep_probability_uniform) {
      corrupted[k] = 0.0;
    }
  }
  return corrupted;
}

}  // namespace rscvi
