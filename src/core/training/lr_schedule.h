// The learning rate from epoch to epoch.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

namespace rscvi {

// cosine: lr (1 + cos(pi (epoch - 1) / n_epochs)) / 2, which falls from lr in the first epoch to nearly 0 in the last
// (Loshchilov & Hutter 2017, "SGDR", equation 5 without restarts).
enum class LrSchedule { constant, cosine };

// "constant" or "cosine"; InvalidArgument for any other name.
LrSchedule parse_lr_schedule(const std::string& name);

// Of an epoch, counted from 1, of a training of n_epochs.
inline double scheduled_lr(LrSchedule schedule, double lr, std::int64_t epoch, std::int64_t n_epochs) {
  constexpr double pi = 3.14159265358979323846;
  if (schedule == LrSchedule::constant) return lr;
  return lr * (1 + std::cos(pi * static_cast<double>(epoch - 1) / static_cast<double>(n_epochs))) / 2;
}

}  // namespace rscvi
