// Glue: posteriors.
#include <RcppEigen.h>

#include "convert.h"
#include "convert_noise.h"
#include "convert_posterior.h"
#include "core/api/posterior.h"
#include "handle.h"

using rscvi::glue::to_noise;
using rscvi::glue::to_one_based;
using rscvi::glue::to_posterior;
using rscvi::glue::to_r;
using rscvi::glue::to_seed;
using rscvi::glue::to_zero_based;
using rscvi::api::Posterior;

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
                                     Rcpp::Named("kl_z") = losses.kl_z, Rcpp::Named("kl_l") = losses.kl_l);
}

// [[Rcpp::export(rng = false)]]
double posterior_marginal_ll_cpp(Rcpp::List posterior, int n_samples, Rcpp::List noise, double seed) {
  return rscvi::api::negative_marginal_ll(to_posterior(posterior), n_samples, to_noise(noise), to_seed(seed));
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector posterior_sample_scale_cpp(Rcpp::List posterior, int n_samples, bool mean, SEXP transform_batch,
                                               SEXP genes, double library_size, Rcpp::List noise, double seed) {
  const Posterior core = to_posterior(posterior);
  rscvi::api::ScaleRequest request;
  request.n_samples = n_samples;
  request.transform_batch = to_zero_based(transform_batch);
  request.genes = to_zero_based(genes);
  request.library_size = library_size;
  const std::int64_t n_cells = core.cells.size();
  const std::int64_t n_genes = request.genes.empty() ? core.dataset->n_genes() : request.genes.size();
  const std::int64_t n_draws = mean ? 1 : n_samples;
  Rcpp::NumericVector out(static_cast<R_xlen_t>(n_draws * n_cells * n_genes));
  rscvi::api::sample_scale(core, request, mean, to_noise(noise), to_seed(seed), out.begin());
  if (mean) {
    out.attr("dim") = Rcpp::IntegerVector::create(n_cells, n_genes);
  } else {
    out.attr("dim") = Rcpp::IntegerVector::create(n_draws, n_cells, n_genes);
  }
  return out;
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
