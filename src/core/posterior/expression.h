// What the model says of expression, cell by cell.
#pragma once

#include <vector>

#include "core/posterior/draw_blocks.h"

namespace rscvi {

struct ExpressionOptions {
  std::int64_t n_samples = 1;
  // Batches to decode every cell as (0-based), averaged over; empty: each cell's own.
  std::vector<std::int64_t> transform_batch;
  std::vector<std::int64_t> genes;  // 0-based, in the order wanted; empty: all
};

struct SampleScaleOptions : ExpressionOptions {
  double library_size = 1;  // what a cell's shares are multiplied by
};

// px_scale * library_size for n_samples draws of z a cell. noise: z (S, n, L); noise.library is not looked at.
void sample_scale(const Posterior& posterior, const SampleScaleOptions& options, const Noise& noise,
                  RandomStream& random, const BlockSink& sink);

// px_rate for n_samples draws of z and of the library a cell. noise: z (S, n, L), library (S, n, 1).
void sample_rate(const Posterior& posterior, const ExpressionOptions& options, const Noise& noise,
                 RandomStream& random, const BlockSink& sink);

}  // namespace rscvi
