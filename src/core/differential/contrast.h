// Differential expression of two populations, gene by gene, from samples of their expression scales (scvi 0.6.8,
// inference/posterior.py; Boyeau et al. 2019).
#pragma once

#include <cstdint>
#include <vector>

#include "core/differential/pairs.h"
#include "core/differential/summary.h"

namespace rscvi {

// Samples x genes, column-major; the memory is somebody else's. Scales of the user's are doubles, those that a model
// has decoded are floats.
template <class T>
struct ScalesOf {
  const T* data;
  std::int64_t n_samples;
  std::int64_t n_genes;
  const T* gene(std::int64_t g) const { return data + g * n_samples; }
};
using ScaleMatrix = ScalesOf<double>;
using DecodedScales = ScalesOf<float>;

// For r = log2(s1 + pseudocount) - log2(s2 + pseudocount) over pairs of samples s1, s2 of the two populations.
struct GeneContrast {
  double above = 0;    // P(s1 > s2)
  double outside = 0;  // P(|r| >= delta)
  double up = 0;       // P(r >= delta)
  double down = 0;     // P(r <= -delta)
  Summary lfc;         // of r
};

struct ContrastOptions {
  bool change = false;       // false: `above` alone is computed
  double delta = 0.5;
  double pseudocount = 0;
  std::vector<double> levels;  // of credible intervals
};

// Over the pairs given.
std::vector<GeneContrast> contrast_pairs(const ScaleMatrix& scale1, const ScaleMatrix& scale2, const Pairs& pairs,
                                         const ContrastOptions& options);
std::vector<GeneContrast> contrast_pairs(const DecodedScales& scale1, const DecodedScales& scale2, const Pairs& pairs,
                                         const ContrastOptions& options);

// Over all pairs within each stratum, strata weighing the same. Intervals have no such closed form: they come from
// `interval_pairs`.
std::vector<GeneContrast> contrast_strata(const ScaleMatrix& scale1, const ScaleMatrix& scale2,
                                          const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                                          const ContrastOptions& options);
std::vector<GeneContrast> contrast_strata(const DecodedScales& scale1, const DecodedScales& scale2,
                                          const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                                          const ContrastOptions& options);

}  // namespace rscvi
