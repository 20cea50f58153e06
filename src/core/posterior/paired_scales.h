// Two populations held against each other sample by sample, all genes at the same time.
#pragma once

#include "core/posterior/population.h"

namespace rscvi {

// One element a gene.
struct PairedScales {
  std::vector<double> above;         // share of the pairs with s1 > s2
  std::vector<double> mean1, mean2;  // of the samples that are paired
};

// Sample rows1[k] of one goes with sample rows2[k] of the other; at least one pair. Everything that is asked of a few
// samples is asked while they are in the cache: each is decoded once, and none is kept. `poll` is called now and then.
PairedScales compare_paired(Vae model, const Population& population1, const Population& population2,
                            const std::vector<std::int64_t>& rows1, const std::vector<std::int64_t>& rows2,
                            const std::function<void()>& poll = nullptr);

}  // namespace rscvi
