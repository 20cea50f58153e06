#include "core/differential/contrast.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "core/differential/all_pairs.h"
#include "core/differential/sorting.h"

namespace rscvi {
namespace {

double log_scale(double scale, double pseudocount) { return std::log2(scale + pseudocount); }

// r for each pair.
std::vector<double> fold_changes(const double* s1, const double* s2, const Pairs& pairs, double pseudocount) {
  std::vector<double> r(pairs.first.size());
  for (std::size_t k = 0; k < r.size(); ++k) {
    r[k] = log_scale(s1[pairs.first[k]], pseudocount) - log_scale(s2[pairs.second[k]], pseudocount);
  }
  return r;
}

double share_above(const double* s1, const double* s2, const Pairs& pairs) {
  std::int64_t count = 0;
  for (std::size_t k = 0; k < pairs.first.size(); ++k) count += s1[pairs.first[k]] > s2[pairs.second[k]];
  return static_cast<double>(count) / static_cast<double>(pairs.size());
}

GeneContrast contrast_gene(const double* s1, const double* s2, const Pairs& pairs, const ContrastOptions& options) {
  GeneContrast out;
  out.above = share_above(s1, s2, pairs);
  if (!options.change) return out;
  std::vector<double> r = fold_changes(s1, s2, pairs, options.pseudocount);
  std::int64_t outside = 0, up = 0, down = 0;
  for (const double value : r) {
    outside += std::abs(value) >= options.delta;
    up += value >= options.delta;
    down += value <= -options.delta;
  }
  const auto n = static_cast<double>(r.size());
  out.outside = static_cast<double>(outside) / n;
  out.up = static_cast<double>(up) / n;
  out.down = static_cast<double>(down) / n;
  out.lfc = summarise(r, options.levels);
  return out;
}

std::vector<double> sorted_samples(const double* scale, const std::vector<std::int64_t>& rows, bool log,
                                   double pseudocount) {
  std::vector<double> values(rows.size());
  for (std::size_t k = 0; k < rows.size(); ++k) values[k] = scale[rows[k]];
  sort_values(values);
  if (log) {  // the logarithm keeps the order
    for (double& value : values) value = log_scale(value, pseudocount);
  }
  return values;
}

GeneContrast contrast_gene(const double* s1, const double* s2, const std::vector<Stratum>& strata,
                           const Pairs& interval_pairs, const ContrastOptions& options) {
  std::vector<SortedSides> sides;
  for (const Stratum& stratum : strata) {
    sides.push_back({sorted_samples(s1, stratum.first, options.change, options.pseudocount),
                     sorted_samples(s2, stratum.second, options.change, options.pseudocount)});
  }
  GeneContrast out;
  if (!options.change) {
    out.above = share_above_all_pairs(sides);
    return out;
  }
  const PairContrast exact = contrast_all_pairs(sides, options.delta);
  out.above = exact.above;
  out.outside = exact.outside;
  out.up = exact.up;
  out.down = exact.down;
  if (!options.levels.empty()) {
    std::vector<double> r = fold_changes(s1, s2, interval_pairs, options.pseudocount);
    out.lfc = summarise(r, options.levels);
  }
  out.lfc.mean = exact.mean;
  out.lfc.median = exact.median;
  out.lfc.std = exact.std;
  out.lfc.min = exact.min;
  out.lfc.max = exact.max;
  return out;
}

template <class Contrast>
std::vector<GeneContrast> for_each_gene(std::int64_t n_genes, Contrast&& contrast) {
  std::vector<GeneContrast> out(n_genes);
  at::parallel_for(0, n_genes, /*grain_size=*/8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t g = begin; g < end; ++g) out[g] = contrast(g);
  });
  return out;
}

}  // namespace

std::vector<GeneContrast> contrast_pairs(const ScaleMatrix& scale1, const ScaleMatrix& scale2, const Pairs& pairs,
                                         const ContrastOptions& options) {
  return for_each_gene(scale1.n_genes, [&](std::int64_t g) {
    return contrast_gene(scale1.gene(g), scale2.gene(g), pairs, options);
  });
}

std::vector<GeneContrast> contrast_strata(const ScaleMatrix& scale1, const ScaleMatrix& scale2,
                                          const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                                          const ContrastOptions& options) {
  return for_each_gene(scale1.n_genes, [&](std::int64_t g) {
    return contrast_gene(scale1.gene(g), scale2.gene(g), strata, interval_pairs, options);
  });
}

}  // namespace rscvi
