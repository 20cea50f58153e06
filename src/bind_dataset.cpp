// Glue: the data set.
#include <RcppEigen.h>

#include "convert.h"
#include "core/api/dataset.h"
#include "handle.h"

using rscvi::glue::DatasetHandle;
using rscvi::glue::to_one_based;
using rscvi::glue::to_optional;
using rscvi::glue::to_seed;
using rscvi::glue::to_zero_based;
using SparseCounts = Eigen::Map<Eigen::SparseMatrix<double>>;

// [[Rcpp::export(rng = false)]]
Rcpp::List counts_report_cpp(SEXP counts) {
  const auto x = Rcpp::as<SparseCounts>(counts);
  const rscvi::CountsReport report =
      rscvi::check_counts(x.outerIndexPtr(), x.innerIndexPtr(), x.valuePtr(), x.cols());
  const char* problems[] = {"none", "negative", "fractional", "not_finite"};
  return Rcpp::List::create(
      Rcpp::Named("problem") = problems[static_cast<int>(report.problem)],
      Rcpp::Named("gene") = static_cast<double>(report.gene + 1),
      Rcpp::Named("cell") = static_cast<double>(report.cell + 1), Rcpp::Named("value") = report.value,
      Rcpp::Named("n_problems") = static_cast<double>(report.n_problems),
      Rcpp::Named("cell_totals") = report.cell_totals);
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector corrupt_counts_cpp(SEXP counts, double rate, std::string corruption, double seed) {
  const auto x = Rcpp::as<SparseCounts>(counts);
  return Rcpp::wrap(rscvi::api::corrupt_counts(x.valuePtr(), x.nonZeros(),
                                               static_cast<std::int64_t>(x.rows()) * x.cols(), rate, corruption,
                                               to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector round_to_float_cpp(Rcpp::NumericVector x) {
  Rcpp::NumericVector out(x.size());
  for (R_xlen_t k = 0; k < x.size(); ++k) out[k] = static_cast<float>(x[k]);
  return out;
}

// [[Rcpp::export(rng = false)]]
SEXP dataset_handle_cpp(SEXP counts, SEXP corrupted_x, Rcpp::IntegerVector batch, Rcpp::IntegerVector labels,
                        Rcpp::NumericVector local_means, Rcpp::NumericVector local_vars, int n_batch, int n_labels,
                        Rcpp::List categorical, Rcpp::List continuous) {
  const auto x = Rcpp::as<SparseCounts>(counts);
  auto dataset = std::make_shared<rscvi::Dataset>();
  dataset->counts = std::make_shared<rscvi::CompressedCells>(x.outerIndexPtr(), x.innerIndexPtr(), x.valuePtr(),
                                                             x.rows(), x.cols());
  if (!Rf_isNull(corrupted_x)) {
    dataset->corrupted = std::make_shared<rscvi::CompressedCells>(x.outerIndexPtr(), x.innerIndexPtr(),
                                                                  REAL(corrupted_x), x.rows(), x.cols());
  }
  dataset->batch = to_zero_based(batch);
  dataset->label = to_zero_based(labels);
  for (std::int64_t& label : dataset->label) label = std::max<std::int64_t>(label, -1);  // NA: no label
  for (SEXP codes : categorical) dataset->categorical.push_back(to_zero_based(codes));
  for (SEXP values : continuous) dataset->continuous.push_back(Rcpp::as<std::vector<double>>(values));
  dataset->local_mean.assign(local_means.begin(), local_means.end());
  dataset->local_var.assign(local_vars.begin(), local_vars.end());
  dataset->n_batch = n_batch;
  dataset->n_labels = n_labels;
  return Rcpp::XPtr<DatasetHandle>(new DatasetHandle{dataset, counts, corrupted_x}, true);
}

// [[Rcpp::export(rng = false)]]
bool handle_is_alive_cpp(SEXP handle) { return TYPEOF(handle) == EXTPTRSXP && R_ExternalPtrAddr(handle) != nullptr; }

// [[Rcpp::export(rng = false)]]
Rcpp::List split_cells_cpp(int n, double train_size, SEXP test_size, double seed) {
  const rscvi::api::SplitCells split =
      rscvi::api::split_cells(n, train_size, to_optional<double>(test_size), to_seed(seed));
  return Rcpp::List::create(Rcpp::Named("train_set") = to_one_based(split.train),
                            Rcpp::Named("test_set") = to_one_based(split.test),
                            Rcpp::Named("validation_set") = to_one_based(split.validation));
}

// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector permutation_cpp(int n, double seed) {
  return to_one_based(rscvi::api::permutation(n, to_seed(seed)));
}
