// What the model makes of counts that were corrupted, against the true ones.
#pragma once

#include "core/posterior/imputed_entries.h"
#include "core/posterior/posterior.h"

namespace rscvi {

// The entries whose corrupted count differs from the true one; the posterior's kind of counts is not looked at.
// noise: z (S, n, L), library (S, n, 1) with S = n_samples.
ImputedEntries imputed_entries(const Posterior& posterior, std::int64_t n_samples, const Noise& noise,
                               RandomStream& random);

}  // namespace rscvi
