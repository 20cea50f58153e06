// Corrupted counts, for imputation benchmarks and denoising training (scvi 0.6.8, GeneExpressionDataset.corrupt).
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/random.h"

namespace rscvi {

enum class Corruption {
  uniform,   // of the non-zero entries, a share `rate` is chosen; each chosen one is set to 0 with probability 0.1
  binomial,  // of all entries, a share `rate` is chosen; each chosen one is replaced by Binomial(count, 0.2)
};

// The new values of the stored entries `x`, in their order; the sparsity pattern stays (some become explicit zeros).
// Entries are chosen without replacement. A chosen zero stays zero under either kind, so `n_entries_total` (genes
// times cells) is all that needs to be known of the entries that are not stored.
std::vector<double> corrupt_counts(const double* x, std::int64_t n_stored, std::int64_t n_entries_total, double rate,
                                   Corruption kind, RandomStream& random);

}  // namespace rscvi
