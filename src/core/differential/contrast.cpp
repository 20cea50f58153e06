#include "core/differential/contrast.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/differential/all_pairs.h"
#include "core/differential/sorting.h"
#include "core/differential/unsorted_order.h"

namespace rscvi {
namespace {

// values[k] becomes log2(values[k] + pseudocount).
void take_logs(std::vector<double>& values, double pseudocount, const double*) {
  for (double& value : values) value = std::log2(value + pseudocount);
}

// Of scales in single precision: LibTorch's vectorised logarithm, which may differ from the exact one in the last place
// of the double.
void take_logs(std::vector<double>& values, double pseudocount, const float*) {
  at::Tensor all = at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kDouble);
  if (pseudocount != 0) all.add_(pseudocount);
  all.log2_();
}

template <class T>
std::vector<double> logs_of(const T* scale, std::int64_t n, double pseudocount) {
  std::vector<double> values(scale, scale + n);
  take_logs(values, pseudocount, scale);
  return values;
}

// The samples of one gene in both populations.
template <class T>
struct GeneScales {
  const T *s1, *s2;
  std::int64_t n1, n2;
};

// r for each pair.
template <class T>
std::vector<double> fold_changes(const GeneScales<T>& gene, const Pairs& pairs, double pseudocount) {
  const std::vector<double> log1 = logs_of(gene.s1, gene.n1, pseudocount);
  const std::vector<double> log2 = logs_of(gene.s2, gene.n2, pseudocount);
  std::vector<double> r(pairs.first.size());
  for (std::size_t k = 0; k < r.size(); ++k) r[k] = log1[pairs.first[k]] - log2[pairs.second[k]];
  return r;
}

template <class T>
double share_above(const GeneScales<T>& gene, const Pairs& pairs) {
  std::int64_t count = 0;
  for (std::size_t k = 0; k < pairs.first.size(); ++k) count += gene.s1[pairs.first[k]] > gene.s2[pairs.second[k]];
  return static_cast<double>(count) / static_cast<double>(pairs.size());
}

template <class T>
GeneContrast contrast_gene(const GeneScales<T>& gene, const Pairs& pairs, const ContrastOptions& options) {
  GeneContrast out;
  out.above = share_above(gene, pairs);
  if (!options.change) return out;
  std::vector<double> r = fold_changes(gene, pairs, options.pseudocount);
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

template <class T>
std::vector<T> pick(const T* scale, const std::vector<std::int64_t>& rows) {
  std::vector<T> values(rows.size());
  for (std::size_t k = 0; k < rows.size(); ++k) values[k] = scale[rows[k]];
  return values;
}

template <class T>
std::vector<double> sorted_samples(const T* scale, const std::vector<std::int64_t>& rows,
                                   const ContrastOptions& options) {
  std::vector<T> values = pick(scale, rows);
  sort_values(values);
  std::vector<double> sorted(values.begin(), values.end());
  if (options.change) take_logs(sorted, options.pseudocount, scale);  // which keeps the order
  return sorted;
}

// P(x > y) of floats, which need not be sorted for it. Nothing: they do.
std::optional<double> share_above_unsorted(const GeneScales<float>& gene, const std::vector<Stratum>& strata) {
  double sum = 0;
  for (const Stratum& stratum : strata) {
    const std::vector<float> x = pick(gene.s1, stratum.first), y = pick(gene.s2, stratum.second);
    const std::optional<std::int64_t> count = count_above_unsorted(x, y);
    if (!count) return std::nullopt;
    sum += static_cast<double>(*count) / (static_cast<double>(x.size()) * static_cast<double>(y.size()));
  }
  return sum / static_cast<double>(strata.size());
}
std::optional<double> share_above_unsorted(const GeneScales<double>&, const std::vector<Stratum>&) {
  return std::nullopt;
}

template <class T>
GeneContrast contrast_gene(const GeneScales<T>& gene, const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                           const ContrastOptions& options) {
  GeneContrast out;
  if (!options.change) {
    if (const std::optional<double> above = share_above_unsorted(gene, strata)) {
      out.above = *above;
      return out;
    }
  }
  std::vector<SortedSides> sides;
  for (const Stratum& stratum : strata) {
    sides.push_back({sorted_samples(gene.s1, stratum.first, options),
                     sorted_samples(gene.s2, stratum.second, options)});
  }
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
    std::vector<double> r = fold_changes(gene, interval_pairs, options.pseudocount);
    out.lfc = summarise(r, options.levels);
  }
  out.lfc.mean = exact.mean;
  out.lfc.median = exact.median;
  out.lfc.std = exact.std;
  out.lfc.min = exact.min;
  out.lfc.max = exact.max;
  return out;
}

template <class T, class Contrast>
std::vector<GeneContrast> for_each_gene(const ScalesOf<T>& scale1, const ScalesOf<T>& scale2, Contrast&& contrast) {
  std::vector<GeneContrast> out(scale1.n_genes);
  at::parallel_for(0, scale1.n_genes, /*grain_size=*/8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t g = begin; g < end; ++g) {
      out[g] = contrast(GeneScales<T>{scale1.gene(g), scale2.gene(g), scale1.n_samples, scale2.n_samples});
    }
  });
  return out;
}

template <class T>
std::vector<GeneContrast> over_pairs(const ScalesOf<T>& scale1, const ScalesOf<T>& scale2, const Pairs& pairs,
                                     const ContrastOptions& options) {
  return for_each_gene(scale1, scale2,
                       [&](const GeneScales<T>& gene) { return contrast_gene(gene, pairs, options); });
}

template <class T>
std::vector<GeneContrast> over_strata(const ScalesOf<T>& scale1, const ScalesOf<T>& scale2,
                                      const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                                      const ContrastOptions& options) {
  return for_each_gene(scale1, scale2, [&](const GeneScales<T>& gene) {
    return contrast_gene(gene, strata, interval_pairs, options);
  });
}

}  // namespace

std::vector<GeneContrast> contrast_pairs(const ScaleMatrix& scale1, const ScaleMatrix& scale2, const Pairs& pairs,
                                         const ContrastOptions& options) {
  return over_pairs(scale1, scale2, pairs, options);
}

std::vector<GeneContrast> contrast_pairs(const DecodedScales& scale1, const DecodedScales& scale2, const Pairs& pairs,
                                         const ContrastOptions& options) {
  return over_pairs(scale1, scale2, pairs, options);
}

std::vector<GeneContrast> contrast_strata(const ScaleMatrix& scale1, const ScaleMatrix& scale2,
                                          const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                                          const ContrastOptions& options) {
  return over_strata(scale1, scale2, strata, interval_pairs, options);
}

std::vector<GeneContrast> contrast_strata(const DecodedScales& scale1, const DecodedScales& scale2,
                                          const std::vector<Stratum>& strata, const Pairs& interval_pairs,
                                          const ContrastOptions& options) {
  return over_strata(scale1, scale2, strata, interval_pairs, options);
}

}  // namespace rscvi
