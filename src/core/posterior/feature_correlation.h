// Which genes go together in denoised expression.
#pragma once

#include <vector>

#include "core/posterior/generation.h"

namespace rscvi {

enum class CorrelationKind { spearman, pearson };

// Correlations between genes over all cells and draws of denoised_samples(), averaged over `batches`, each of which all
// cells are decoded as (none: each cell as its own). Every batch starts from `seed`, so that its share is what it would
// be alone. Fills `total`, (G, G) double, contiguous. Memory: one float a gene, cell and draw.
void denoised_correlation(const Posterior& posterior, const GenerationOptions& options,
                          const std::vector<std::int64_t>& batches, double size_factor, CorrelationKind kind,
                          const Noise& noise, std::uint64_t seed, at::Tensor& total);

}  // namespace rscvi
