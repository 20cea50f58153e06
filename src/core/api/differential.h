// Differential expression, as the glue sees it.
#pragma once

#include "core/api/posterior.h"
#include "core/differential/contrast.h"
#include "core/differential/group_sums.h"

namespace rscvi::api {

// Samples of the expression of a population of cells; see core/posterior/population.h.
class Population {
 public:
  // The population is the posterior's cells. `batches`: 0-based batches to decode as; empty: the observed ones.
  Population(const Posterior& posterior, std::int64_t n_samples, const std::vector<std::int64_t>& batches,
             std::uint64_t seed);

  // n samples of the mixture of `parts`, part k with probability proportional to weights[k].
  Population(const std::vector<const Population*>& parts, const std::vector<double>& weights, std::int64_t n,
             std::uint64_t seed);

  std::int64_t n_samples() const;
  const std::vector<std::int64_t>& batch() const;  // of each sample, 0-based; empty for the observed ones

  // Computes, once and for all, what blocks of genes are decoded with. Mixtures of populations that have it, have it
  // too.
  void prepare_for_blocks() const;

  // Fills `out`, n_samples x n column-major, with the scales of genes first .. first + n - 1 (0-based).
  void scale(std::int64_t first, std::int64_t n, double* out) const;

 private:
  friend struct PopulationContrast;
  struct Handle;
  std::shared_ptr<Handle> handle_;
};

struct ContrastPlan {
  bool exact = false;             // all pairs within `strata`; otherwise `pairs`
  bool elementwise = false;       // `pairs` has every sample of both populations once
  std::vector<Stratum> strata;
  Pairs pairs;                    // with `exact`: those that intervals are taken from
  ContrastOptions options;
};

// All genes. The samples stay in the core: a block of genes, or of samples, is decoded and forgotten.
struct PopulationContrast {
  std::vector<GeneContrast> genes;
  std::vector<double> scale1, scale2;  // mean scales of all samples of a population

  PopulationContrast(const Population& population1, const Population& population2, const ContrastPlan& plan);

 private:
  void decode_once(const Population::Handle& population1, const Population::Handle& population2, const Pairs& pairs);
  void add_genes(Population::Handle& population1, Population::Handle& population2, std::int64_t first, std::int64_t n,
                 const ContrastPlan& plan);
};

// Pairs as core/differential/pairs.h makes them: element by element, or n_pairs random ones.
Pairs make_pairs(const std::vector<Stratum>& strata, std::optional<std::int64_t> n_pairs, std::uint64_t seed);

}  // namespace rscvi::api
