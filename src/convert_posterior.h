// A posterior as R hands it in: model and dataset handles, cells (1-based), batch_size, corrupted, use_cuda; see
// posterior_core() in R/Posterior.R.
#pragma once

#include "convert.h"
#include "core/api/posterior.h"
#include "handle.h"
#include "large_results.h"

namespace rscvi::glue {

inline api::Posterior to_posterior(const Rcpp::List& list) {
  api::Posterior posterior{from_handle<api::Model>(list["model"]), from_handle<DatasetHandle>(list["dataset"]).dataset,
                           to_zero_based(list["cells"]), option<int>(list, "batch_size"),
                           option<bool>(list, "corrupted"), to_optional<bool>(list["use_cuda"])};
  // Ctrl-C ends every method between two minibatches: Rcpp's exception passes through the core, which tidies up.
  posterior.poll = [] { Rcpp::checkUserInterrupt(); };
  return posterior;
}

// An array of doubles or integers for the core to fill.
template <int RTYPE>
Rcpp::Vector<RTYPE> result_array(const std::vector<std::int64_t>& dimensions) {
  std::int64_t n = 1;
  for (const std::int64_t d : dimensions) n *= d;
  Rcpp::Vector<RTYPE> out(large_vector(RTYPE, static_cast<R_xlen_t>(n)));
  out.attr("dim") = Rcpp::IntegerVector(dimensions.begin(), dimensions.end());
  return out;
}

// samples x cells x genes, or cells x genes where there is but one sample.
inline std::vector<std::int64_t> samples_first(std::int64_t n_samples, std::int64_t n_cells, std::int64_t n_genes) {
  if (n_samples == 1) return {n_cells, n_genes};
  return {n_samples, n_cells, n_genes};
}

inline std::int64_t n_cells(const api::Posterior& posterior) {
  return static_cast<std::int64_t>(posterior.cells.size());
}

inline std::int64_t n_genes(const api::Posterior& posterior, const api::DrawRequest& request) {
  return request.genes.empty() ? posterior.dataset->n_genes() : static_cast<std::int64_t>(request.genes.size());
}

inline api::DrawRequest to_request(int n_samples, SEXP transform_batch, SEXP genes) {
  api::DrawRequest request;
  request.n_samples = n_samples;
  request.transform_batch = to_zero_based(transform_batch);
  request.genes = to_zero_based(genes);
  return request;
}

}  // namespace rscvi::glue
