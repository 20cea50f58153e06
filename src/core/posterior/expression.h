// What the model says of expression, cell by cell.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/posterior/posterior.h"

namespace rscvi {

struct SampleScaleOptions {
  std::int64_t n_samples = 1;
  // Batches to decode every cell as (0-based), averaged over; empty: each cell's own.
  std::vector<std::int64_t> transform_batch;
  std::vector<std::int64_t> genes;  // 0-based, in the order wanted; empty: all
  double library_size = 1;          // what a cell's shares are multiplied by
};

// Receives (S, B, genes) for the cells from `start` on, float32 on the CPU, in the order of the posterior's cells.
using BlockSink = std::function<void(std::int64_t start, const at::Tensor& block)>;

// px_scale * library_size for n_samples draws of z a cell. noise: z (S, n, L); noise.library is not looked at.
void sample_scale(const Posterior& posterior, const SampleScaleOptions& options, const Noise& noise,
                  RandomStream& random, const BlockSink& sink);

}  // namespace rscvi
