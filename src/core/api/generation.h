// Generated data and imputed counts of a posterior, as the glue sees them. See expression.h, generation.h,
// feature_correlation.h and imputation.h of core/posterior for what each computes; `seed` feeds the draws that `noise`
// does not give. Results fill R's arrays, column-major: n cells, G genes (those asked for), S draws.
#pragma once

#include <string>

#include "core/api/posterior.h"
#include "core/posterior/imputed_entries.h"

namespace rscvi::api {

// S x n x G; several batches are averaged over.
void sample_rate(const Posterior& posterior, const DrawRequest& request, const NoiseArrays& noise, std::uint64_t seed,
                 double* out);

// n x G x S; at most one batch.
void generate_counts(const Posterior& posterior, const DrawRequest& request, const NoiseArrays& noise,
                     std::uint64_t seed, int* out);
void denoised_samples(const Posterior& posterior, const DrawRequest& request, double size_factor,
                      const NoiseArrays& noise, std::uint64_t seed, double* out);

// G x G; kind: "spearman" or "pearson".
void denoised_correlation(const Posterior& posterior, const DrawRequest& request, double size_factor,
                          const std::string& kind, const NoiseArrays& noise, std::uint64_t seed, double* out);

// S x n x G, or n x G with the mean over draws if `mean`; a null pointer means "not wanted". Dispersions are n x G
// unless they are per cell.
struct ParameterArrays {
  double* dropout = nullptr;
  double* mean = nullptr;
  double* dispersion = nullptr;
};
void count_parameters(const Posterior& posterior, std::int64_t n_samples, bool mean, const NoiseArrays& noise,
                      std::uint64_t seed, const ParameterArrays& out);

ImputedEntries imputed_entries(const Posterior& posterior, std::int64_t n_samples, const NoiseArrays& noise,
                               std::uint64_t seed);

}  // namespace rscvi::api
