// The weight of the KL term while training warms up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace rscvi {

// Linear from 0 to `max_weight` over `epochs` epochs, or else over `iterations` minibatches, or else `max_weight`
// throughout. A warm-up of 0 is none. With a warm-up by epochs the first epoch has weight 0.
struct KlWarmup {
  std::optional<std::int64_t> epochs = 400;
  std::optional<std::int64_t> iterations;
  double max_weight = 1;  // 1: the ELBO (Kingma & Welling 2014); others: beta-VAE (Higgins et al. 2017)

  double weight(std::int64_t epochs_done, std::int64_t iterations_done) const {
    const auto share = [](std::int64_t done, std::int64_t all) {
      return all <= 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
    };
    if (epochs) return max_weight * share(epochs_done, *epochs);
    if (iterations) return max_weight * share(iterations_done, *iterations);
    return max_weight;
  }
};

}  // namespace rscvi
