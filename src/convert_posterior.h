// A posterior as R hands it in: model and dataset handles, cells (1-based), batch_size, corrupted, use_cuda; see
// posterior_core() in R/Posterior.R.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <functional>

#include "convert.h"
#include "core/api/posterior.h"
#include "handle.h"

namespace rscvi::glue {

inline api::Posterior to_posterior(const Rcpp::List& list) {
  api::Posterior posterior{from_handle<api::Model>(list["model"]), from_handle<DatasetHandle>(list["dataset"]).dataset,
                           to_zero_based(list["cells"]), option<int>(list, "batch_size"),
                           option<bool>(list, "corrupted"), to_optional<bool>(list["use_cuda"])};
  // Ctrl-C ends every method between two minibatches: Rcpp's exception passes through the core, which tidies up.
  posterior.poll = [] { Rcpp::checkUserInterrupt(); };
  return posterior;
}

// Memory that is about to be filled all through comes faster in pages of 2 MB than of 4 kB, where the system has them:
// hundreds of megabytes are as many first touches, and columns far apart have each page's address looked up anew.
inline void ask_for_large_pages(void* start, std::size_t n_bytes) {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t large_page = std::uintptr_t{1} << 21;
  const auto first = (reinterpret_cast<std::uintptr_t>(start) + large_page - 1) / large_page * large_page;
  const auto end = (reinterpret_cast<std::uintptr_t>(start) + n_bytes) / large_page * large_page;
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);  // a hint: it may fail
#endif
}

// The same of columns that are vectors of their own, which mostly lie side by side.
inline void ask_for_large_pages(std::vector<double*> columns, std::size_t n_bytes) {
  constexpr std::ptrdiff_t side_by_side = 8192;  // the page of a vector's header, and one that is shared
  std::sort(columns.begin(), columns.end(), std::less<>());
  for (std::size_t k = 0; k < columns.size();) {
    char* start = reinterpret_cast<char*>(columns[k]);
    char* end = start + n_bytes;
    for (++k; k < columns.size() && reinterpret_cast<char*>(columns[k]) - end <= side_by_side; ++k) {
      end = reinterpret_cast<char*>(columns[k]) + n_bytes;
    }
    ask_for_large_pages(start, static_cast<std::size_t>(end - start));
  }
}

// An array of doubles or integers for the core to fill.
template <int RTYPE>
Rcpp::Vector<RTYPE> result_array(const std::vector<std::int64_t>& dimensions) {
  std::int64_t n = 1;
  for (const std::int64_t d : dimensions) n *= d;
  Rcpp::Vector<RTYPE> out = Rcpp::no_init(static_cast<R_xlen_t>(n));
  ask_for_large_pages(out.begin(), sizeof(*out.begin()) * static_cast<std::size_t>(n));
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
