// Samples of the expression of a population of cells, for differential expression (scvi 0.6.8, scale_sampler).
#pragma once

#include "core/posterior/posterior.h"

namespace rscvi {

struct PopulationOptions {
  std::int64_t n_samples = 5000;
  // Batches to decode the samples as (0-based): samples_per_batch() samples each. Empty: every sample as the batch that
  // its cell was observed in.
  std::vector<std::int64_t> batches;
};

// S samples, one draw of z of a cell each. Not their scales, which are S x G, but what any genes of them are quickly
// decoded from.
struct Population {
  at::Tensor hidden;                // (S, n_hidden), last hidden layer of the decoder
  at::Tensor log_normaliser;        // (S, 1), ln of the sum over all genes of exp(logit); see fill_normaliser()
  std::vector<std::int64_t> batch;  // of each sample; empty for the observed batches

  std::int64_t n_samples() const { return hidden.size(0); }
};

// n / n_batches, or 2 where that is none (as in scvi 0.6.8).
std::int64_t samples_per_batch(std::int64_t n, std::int64_t n_batches);

// Cells of `posterior` are drawn with replacement; each distinct one is encoded once.
Population sample_population(const Posterior& posterior, const PopulationOptions& options, RandomStream& random);

// Computes log_normaliser where it is undefined. It takes all genes of all samples: whoever looks at some genes after
// some others has it done once; whoever decodes all genes at the same time does without.
void fill_normaliser(Vae model, Population& population);

// px_scale of genes first .. first + n - 1, (S, n) on the CPU.
at::Tensor population_scale(Vae model, const Population& population, std::int64_t first, std::int64_t n);

// The same gene by gene: (n, S), contiguous float32.
at::Tensor population_scale_by_gene(Vae model, const Population& population, std::int64_t first, std::int64_t n);

// n samples of a mixture of populations, each sample of population k with probability proportional to weights[k]. No
// sample is taken twice as long as there are enough: independent draws from each, as sampled, stay independent. With
// batches, samples_per_batch() samples of each. The normaliser is undefined unless all populations have theirs.
Population mix_populations(const std::vector<const Population*>& populations, const std::vector<double>& weights,
                           std::int64_t n, RandomStream& random);

}  // namespace rscvi
