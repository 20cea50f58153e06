// Glue: generated data and imputed counts.
#include <RcppEigen.h>

#include "convert_noise.h"
#include "convert_posterior.h"
#include "core/api/generation.h"

using rscvi::glue::n_cells;
using rscvi::glue::n_genes;
using rscvi::glue::result_array;
using rscvi::glue::samples_first;
using rscvi::glue::to_noise;
using rscvi::glue::to_posterior;
using rscvi::glue::to_request;
using rscvi::glue::to_seed;
using rscvi::api::DrawRequest;
using rscvi::api::Posterior;

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector posterior_sample_rate_cpp(Rcpp::List posterior, int n_samples, SEXP transform_batch, SEXP genes,
                                              Rcpp::List noise, double seed) {
  const Posterior core = to_posterior(posterior);
  const DrawRequest request = to_request(n_samples, transform_batch, genes);
  auto out = result_array<REALSXP>(samples_first(n_samples, n_cells(core), n_genes(core, request)));
  rscvi::api::sample_rate(core, request, to_noise(noise), to_seed(seed), out.begin());
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector posterior_generate_cpp(Rcpp::List posterior, int n_samples, SEXP transform_batch, SEXP genes,
                                           Rcpp::List noise, double seed) {
  const Posterior core = to_posterior(posterior);
  const DrawRequest request = to_request(n_samples, transform_batch, genes);
  auto out = result_array<INTSXP>({n_cells(core), n_genes(core, request), n_samples});
  rscvi::api::generate_counts(core, request, to_noise(noise), to_seed(seed), out.begin());
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector posterior_denoised_cpp(Rcpp::List posterior, int n_samples, double rna_size_factor,
                                           SEXP transform_batch, SEXP genes, Rcpp::List noise, double seed) {
  const Posterior core = to_posterior(posterior);
  const DrawRequest request = to_request(n_samples, transform_batch, genes);
  auto out = result_array<REALSXP>({n_cells(core), n_genes(core, request), n_samples});
  rscvi::api::denoised_samples(core, request, rna_size_factor, to_noise(noise), to_seed(seed), out.begin());
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector posterior_correlation_cpp(Rcpp::List posterior, int n_samples, double rna_size_factor,
                                              SEXP transform_batch, SEXP genes, std::string correlation_type,
                                              Rcpp::List noise, double seed) {
  const Posterior core = to_posterior(posterior);
  const DrawRequest request = to_request(n_samples, transform_batch, genes);
  auto out = result_array<REALSXP>({n_genes(core, request), n_genes(core, request)});
  rscvi::api::denoised_correlation(core, request, rna_size_factor, correlation_type, to_noise(noise), to_seed(seed),
                                   out.begin());
  for (double& value : out) {
    if (std::isnan(value)) value = NA_REAL;
  }
  return out;
}

// dropout, means, dispersions; NULL where not wanted. `names`: of cells and genes. (R would copy what it gets in a list
// in order to name it.)
// [[Rcpp::export(rng = false)]]
Rcpp::List posterior_parameters_cpp(Rcpp::List posterior, int n_samples, bool mean, bool want_dropout,
                                    bool want_dispersion, bool dispersion_by_draw, Rcpp::List names, Rcpp::List noise,
                                    double seed) {
  const Posterior core = to_posterior(posterior);
  Rcpp::List out = Rcpp::List::create(Rcpp::Named("dropout") = R_NilValue, Rcpp::Named("means") = R_NilValue,
                                      Rcpp::Named("dispersions") = R_NilValue);
  const auto array = [&](const char* name, bool by_draw) {
    const auto shape = samples_first(by_draw && !mean ? n_samples : 1, n_cells(core), n_genes(core, {}));
    auto values = result_array<REALSXP>(shape);
    values.attr("dimnames") = shape.size() == 2 ? names : Rcpp::List::create(R_NilValue, names[0], names[1]);
    out[name] = values;
    return values.begin();
  };
  rscvi::api::ParameterArrays arrays;
  arrays.mean = array("means", true);
  if (want_dropout) arrays.dropout = array("dropout", true);
  if (want_dispersion) arrays.dispersion = array("dispersions", dispersion_by_draw);
  rscvi::api::count_parameters(core, n_samples, mean, to_noise(noise), to_seed(seed), arrays);
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List posterior_imputed_entries_cpp(Rcpp::List posterior, int n_samples, Rcpp::List noise, double seed) {
  const rscvi::ImputedEntries entries =
      rscvi::api::imputed_entries(to_posterior(posterior), n_samples, to_noise(noise), to_seed(seed));
  const auto indices = [](const std::vector<std::int32_t>& values) {
    Rcpp::IntegerVector out(values.begin(), values.end());
    for (int& value : out) ++value;
    return out;
  };
  const auto numbers = [](const std::vector<float>& values) {
    return Rcpp::NumericVector(values.begin(), values.end());
  };
  return Rcpp::List::create(Rcpp::Named("cell") = indices(entries.cell), Rcpp::Named("gene") = indices(entries.gene),
                            Rcpp::Named("sample") = indices(entries.sample),
                            Rcpp::Named("original") = numbers(entries.original),
                            Rcpp::Named("imputed") = numbers(entries.imputed));
}
