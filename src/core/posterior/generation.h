// Data that the model makes up: counts, denoised expression, and the parameters they are drawn with.
#pragma once

#include <optional>
#include <vector>

#include "core/posterior/draw_blocks.h"

namespace rscvi {

// noise, in every function: z (S, n, L), library (S, n, 1); it stands in for the latent draws alone.
struct GenerationOptions {
  std::int64_t n_samples = 1;
  std::optional<std::int64_t> transform_batch;  // decode every cell as this one (0-based)
  std::vector<std::int64_t> genes;              // 0-based, in the order wanted; empty: all. No other gene is drawn.
};

// Posterior predictive draws: x ~ p(x | z, l) with z, l ~ q(z | x) q(l | x), n_samples of them a cell.
void generate_counts(const Posterior& posterior, const GenerationOptions& options, const Noise& noise,
                     RandomStream& random, const BlockSink& sink);

// Gamma of shape theta and mean size_factor * px_scale, for n_samples draws of z a cell: counts without Poisson noise,
// dropout or library size. A Poisson model has no theta; there the mean itself (theta to infinity). noise.library is
// not looked at.
void denoised_samples(const Posterior& posterior, const GenerationOptions& options, double size_factor,
                      const Noise& noise, RandomStream& random, const BlockSink& sink);

// Where the parameters of the counts go; whatever has no sink is not computed.
struct ParameterSinks {
  BlockSink dropout;     // px_dropout: logits
  BlockSink mean;        // px_rate
  BlockSink dispersion;  // px_r: theta. Unless it is per cell, it does not depend on the draw: blocks (1, B, G), once.
};

// For n_samples draws of z and l a cell; or the mean over them, in blocks (1, B, G).
void count_parameters(const Posterior& posterior, std::int64_t n_samples, bool mean, const Noise& noise,
                      RandomStream& random, const ParameterSinks& sinks);

}  // namespace rscvi
