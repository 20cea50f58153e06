// Glue: differential expression.
#include <RcppEigen.h>

#include "convert.h"
#include "convert_posterior.h"
#include "core/api/differential.h"
#include "handle.h"

using rscvi::api::Population;
using rscvi::glue::from_handle;
using rscvi::glue::option;
using rscvi::glue::to_one_based;
using rscvi::glue::to_posterior;
using rscvi::glue::to_seed;
using rscvi::glue::to_zero_based;

namespace {

rscvi::ScaleMatrix to_scale_matrix(const Rcpp::NumericMatrix& scale) {
  return {scale.begin(), scale.nrow(), scale.ncol()};
}

// list(first =, second =) of 1-based rows.
rscvi::Pairs to_pairs(const Rcpp::List& pairs) {
  return {to_zero_based(pairs["first"]), to_zero_based(pairs["second"])};
}

std::vector<rscvi::Stratum> to_strata(const Rcpp::List& list) {
  std::vector<rscvi::Stratum> strata;
  for (R_xlen_t k = 0; k < list.size(); ++k) {
    const Rcpp::List stratum = list[k];
    strata.push_back({to_zero_based(stratum["first"]), to_zero_based(stratum["second"])});
  }
  return strata;
}

rscvi::ContrastOptions to_contrast_options(const Rcpp::List& list) {
  rscvi::ContrastOptions options;
  options.change = option<bool>(list, "change");
  options.delta = option<double>(list, "delta");
  options.pseudocount = option<double>(list, "pseudocount");
  options.levels = option<std::vector<double>>(list, "levels");
  return options;
}

// One element a gene: mean, median, std, min, max, then a matrix of genes x (2 a level) with the intervals.
template <class GetSummary>
Rcpp::List summary_columns(std::size_t n_genes, std::size_t n_levels, GetSummary&& get) {
  Rcpp::NumericVector mean(n_genes), median(n_genes), std(n_genes), min(n_genes), max(n_genes);
  Rcpp::NumericMatrix intervals(n_genes, 2 * n_levels);
  for (std::size_t g = 0; g < n_genes; ++g) {
    const rscvi::Summary& summary = get(g);
    mean[g] = summary.mean;
    median[g] = summary.median;
    std[g] = summary.std;
    min[g] = summary.min;
    max[g] = summary.max;
    for (std::size_t l = 0; l < summary.intervals.size(); ++l) {
      intervals(g, 2 * l) = summary.intervals[l].min;
      intervals(g, 2 * l + 1) = summary.intervals[l].max;
    }
  }
  return Rcpp::List::create(Rcpp::Named("mean") = mean, Rcpp::Named("median") = median, Rcpp::Named("std") = std,
                            Rcpp::Named("min") = min, Rcpp::Named("max") = max,
                            Rcpp::Named("intervals") = intervals);
}

Rcpp::List to_columns(const std::vector<rscvi::GeneContrast>& genes, std::size_t n_levels) {
  const std::size_t n = genes.size();
  Rcpp::NumericVector above(n), outside(n), up(n), down(n);
  for (std::size_t g = 0; g < n; ++g) {
    above[g] = genes[g].above;
    outside[g] = genes[g].outside;
    up[g] = genes[g].up;
    down[g] = genes[g].down;
  }
  return Rcpp::List::create(
      Rcpp::Named("above") = above, Rcpp::Named("outside") = outside, Rcpp::Named("up") = up,
      Rcpp::Named("down") = down,
      Rcpp::Named("lfc") = summary_columns(
          n, n_levels, [&](std::size_t g) -> const rscvi::Summary& { return genes[g].lfc; }));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
SEXP population_new_cpp(Rcpp::List posterior, int n_samples, SEXP batches, double seed) {
  return Rcpp::XPtr<Population>(
      new Population(to_posterior(posterior), n_samples, to_zero_based(batches), to_seed(seed)), true);
}

// [[Rcpp::export(rng = false)]]
SEXP population_mix_cpp(Rcpp::List parts, std::vector<double> weights, int n_samples, double seed) {
  std::vector<const Population*> populations;
  for (R_xlen_t k = 0; k < parts.size(); ++k) populations.push_back(&from_handle<Population>(parts[k]));
  return Rcpp::XPtr<Population>(new Population(populations, weights, n_samples, to_seed(seed)), true);
}

// 1-based batch of each sample; empty where they are the observed ones.
// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector population_batch_cpp(SEXP population) {
  return to_one_based(from_handle<Population>(population).batch());
}

// [[Rcpp::export(rng = false)]]
int population_size_cpp(SEXP population) {
  return static_cast<int>(from_handle<Population>(population).n_samples());
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix population_scale_cpp(SEXP population, int first_gene, int n_genes) {
  const Population& samples = from_handle<Population>(population);
  Rcpp::NumericMatrix out(static_cast<int>(samples.n_samples()), n_genes);
  samples.scale(first_gene - 1, n_genes, out.begin());
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List strata_cpp(SEXP batch1, SEXP batch2, int n1, int n2) {
  Rcpp::List out;
  for (const rscvi::Stratum& stratum : rscvi::strata_of(to_zero_based(batch1), to_zero_based(batch2), n1, n2)) {
    out.push_back(Rcpp::List::create(Rcpp::Named("first") = to_one_based(stratum.first),
                                     Rcpp::Named("second") = to_one_based(stratum.second)));
  }
  return out;
}

// n_pairs = NULL: element by element.
// [[Rcpp::export(rng = false)]]
Rcpp::List pairs_cpp(Rcpp::List strata, SEXP n_pairs, double seed) {
  const auto n = rscvi::glue::to_optional<double>(n_pairs);
  const rscvi::Pairs pairs = rscvi::api::make_pairs(
      to_strata(strata), n ? std::optional<std::int64_t>(static_cast<std::int64_t>(*n)) : std::nullopt, to_seed(seed));
  return Rcpp::List::create(Rcpp::Named("first") = to_one_based(pairs.first),
                            Rcpp::Named("second") = to_one_based(pairs.second));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List contrast_pairs_cpp(Rcpp::NumericMatrix scale1, Rcpp::NumericMatrix scale2, Rcpp::List pairs,
                              Rcpp::List options) {
  const rscvi::ContrastOptions contrast = to_contrast_options(options);
  return to_columns(
      rscvi::contrast_pairs(to_scale_matrix(scale1), to_scale_matrix(scale2), to_pairs(pairs), contrast),
      contrast.levels.size());
}

// [[Rcpp::export(rng = false)]]
Rcpp::List contrast_strata_cpp(Rcpp::NumericMatrix scale1, Rcpp::NumericMatrix scale2, Rcpp::List strata,
                               Rcpp::List interval_pairs, Rcpp::List options) {
  const rscvi::ContrastOptions contrast = to_contrast_options(options);
  return to_columns(rscvi::contrast_strata(to_scale_matrix(scale1), to_scale_matrix(scale2), to_strata(strata),
                                           to_pairs(interval_pairs), contrast),
                    contrast.levels.size());
}

// As contrast_strata_cpp() (options$exact) or contrast_pairs_cpp(), of all genes of two populations; with their mean
// scales.
// [[Rcpp::export(rng = false)]]
Rcpp::List population_contrast_cpp(SEXP population1, SEXP population2, Rcpp::List strata, Rcpp::List pairs,
                                   Rcpp::List options) {
  rscvi::api::ContrastPlan plan;
  plan.exact = option<bool>(options, "exact");
  plan.elementwise = !option<bool>(options, "permute");
  plan.strata = to_strata(strata);
  plan.pairs = to_pairs(pairs);
  plan.options = to_contrast_options(options);
  const rscvi::api::PopulationContrast found(from_handle<Population>(population1),
                                             from_handle<Population>(population2), plan);
  Rcpp::List columns = to_columns(found.genes, plan.options.levels.size());
  columns["scale1"] = Rcpp::NumericVector(found.scale1.begin(), found.scale1.end());
  columns["scale2"] = Rcpp::NumericVector(found.scale2.begin(), found.scale2.end());
  return columns;
}

// [[Rcpp::export(rng = false)]]
void population_prepare_cpp(SEXP population) { from_handle<Population>(population).prepare_for_blocks(); }

// Three genes x groups matrices, see core/differential/group_sums.h. p, i, x: slots of a dgCMatrix of genes x cells;
// cells and groups are 1-based.
// [[Rcpp::export(rng = false)]]
Rcpp::List group_sums_cpp(Rcpp::IntegerVector p, Rcpp::IntegerVector i, Rcpp::NumericVector x, int n_genes, SEXP cells,
                          SEXP groups, int n_groups) {
  const rscvi::GroupSums sums = rscvi::group_sums({p.begin(), i.begin(), x.begin(), n_genes}, to_zero_based(cells),
                                                  to_zero_based(groups), n_groups);
  const auto matrix = [&](const std::vector<double>& values) {
    return Rcpp::NumericMatrix(n_genes, n_groups, values.begin());
  };
  return Rcpp::List::create(Rcpp::Named("counts") = matrix(sums.counts),
                            Rcpp::Named("detected") = matrix(sums.detected),
                            Rcpp::Named("normalised") = matrix(sums.normalised));
}

// Summary of each column of a matrix of values.
// [[Rcpp::export(rng = false)]]
Rcpp::List summarise_columns_cpp(Rcpp::NumericMatrix values, std::vector<double> levels) {
  std::vector<rscvi::Summary> summaries;
  for (int g = 0; g < values.ncol(); ++g) {
    const auto column = values.column(g);
    std::vector<double> sample(column.begin(), column.end());
    summaries.push_back(rscvi::summarise(sample, levels));
  }
  return summary_columns(summaries.size(), levels.size(),
                         [&](std::size_t g) -> const rscvi::Summary& { return summaries[g]; });
}
