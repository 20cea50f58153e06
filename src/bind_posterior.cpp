// Glue: posteriors.
#include <RcppEigen.h>

#include "convert.h"
#include "convert_noise.h"
#include "convert_posterior.h"

using rscvi::glue::n_cells;
using rscvi::glue::n_genes;
using rscvi::glue::result_array;
using rscvi::glue::samples_first;
using rscvi::glue::to_noise;
using rscvi::glue::to_one_based;
using rscvi::glue::to_posterior;
using rscvi::glue::to_r;
using rscvi::glue::to_request;
using rscvi::glue::to_seed;
using rscvi::api::Posterior;

// [[Rcpp::export(rng = false)]]
SEXP posterior_label_probabilities_cpp(Rcpp::List posterior) {
  return to_r(rscvi::api::label_probabilities(to_posterior(posterior)));
}

// [[Rcpp::export(rng = false)]]
SEXP posterior_latent_cpp(Rcpp::List posterior, bool give_mean, int n_samples, Rcpp::List noise, double seed) {
  return to_r(rscvi::api::latent(to_posterior(posterior), give_mean, n_samples, to_noise(noise), to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
SEXP posterior_library_cpp(Rcpp::List posterior, Rcpp::List noise, double seed) {
  return to_r(rscvi::api::library_draws(to_posterior(posterior), to_noise(noise), to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector posterior_losses_cpp(Rcpp::List posterior, Rcpp::List noise, double seed) {
  const rscvi::api::MeanLosses losses =
      rscvi::api::mean_losses(to_posterior(posterior), to_noise(noise), to_seed(seed));
  return Rcpp::NumericVector::create(Rcpp::Named("reconst_loss") = losses.reconst_loss,
                                     Rcpp::Named("kl_z") = losses.kl_z, Rcpp::Named("kl_l") = losses.kl_l,
                                     Rcpp::Named("kl_z1") = losses.kl_z1);
}

// [[Rcpp::export(rng = false)]]
double posterior_marginal_ll_cpp(Rcpp::List posterior, int n_samples, Rcpp::List noise, double seed) {
  return rscvi::api::negative_marginal_ll(to_posterior(posterior), n_samples, to_noise(noise), to_seed(seed));
}

// An array, or with `as_columns` a list of one vector a gene, for a data.frame: made of an array, it would take the
// same memory again.
// [[Rcpp::export(rng = false)]]
SEXP posterior_sample_scale_cpp(Rcpp::List posterior, int n_samples, bool mean, bool as_columns, SEXP transform_batch,
                                SEXP genes, double library_size, Rcpp::List noise, double seed) {
  const Posterior core = to_posterior(posterior);
  rscvi::api::ScaleRequest request{to_request(n_samples, transform_batch, genes), library_size};
  const auto fill = [&](const std::vector<double*>& columns) {
    rscvi::api::sample_scale(core, request, mean, to_noise(noise), to_seed(seed), columns);
  };
  const std::int64_t n_kept = mean ? 1 : n_samples;
  if (!as_columns) {
    auto out = result_array<REALSXP>(samples_first(n_kept, n_cells(core), n_genes(core, request)));
    fill(rscvi::api::columns(out.begin(), n_kept * n_cells(core), n_genes(core, request)));
    return out;
  }
  std::vector<double*> columns;
  Rcpp::List out = rscvi::glue::large_columns(static_cast<R_xlen_t>(n_genes(core, request)),
                                              static_cast<R_xlen_t>(n_kept * n_cells(core)), columns);
  fill(columns);
  return out;
}

// Changes `array` itself: for arrays that nobody else has.
// [[Rcpp::export(rng = false)]]
SEXP set_dimnames_cpp(SEXP array, Rcpp::List names) {
  Rf_setAttrib(array, R_DimNamesSymbol, names);
  return array;
}

// Calls visit(x, local_l_mean, local_l_var, batch_index, labels, start) per minibatch; start is the 1-based place of
// its first cell among the posterior's.
// [[Rcpp::export(rng = false)]]
void posterior_for_each_minibatch_cpp(Rcpp::List posterior, Rcpp::Function visit) {
  rscvi::api::for_each_minibatch(
      to_posterior(posterior), [&](const rscvi::api::Cells& cells, std::int64_t start) {
        visit(to_r(cells.x), to_r(cells.local_l_mean), to_r(cells.local_l_var), to_one_based(cells.batch_index),
              to_one_based(cells.label), static_cast<double>(start + 1));
      });
}
