// Glue: classifiers, and what they say of cells.
#include <RcppEigen.h>

#include "convert.h"
#include "convert_classifier.h"
#include "core/api/classifier.h"
#include "handle.h"

using rscvi::api::Model;
using rscvi::glue::from_handle;
using rscvi::glue::option;
using rscvi::glue::to_array;
using rscvi::glue::to_r;
using rscvi::glue::to_seed;

// [[Rcpp::export(rng = false)]]
SEXP classifier_new_cpp(Rcpp::List options, double seed) {
  rscvi::ClassifierOptions network;
  network.n_hidden = option<int>(options, "n_hidden");
  network.n_layers = option<int>(options, "n_layers");
  network.dropout_rate = option<double>(options, "dropout_rate");
  return Rcpp::XPtr<Model>(
      new Model(network, option<int>(options, "n_input"), option<int>(options, "n_labels"), to_seed(seed)), true);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List classifier_default_options_cpp() {
  const rscvi::ClassifierOptions options;
  return Rcpp::List::create(Rcpp::Named("n_hidden") = static_cast<int>(options.n_hidden),
                            Rcpp::Named("n_layers") = static_cast<int>(options.n_layers),
                            Rcpp::Named("dropout_rate") = options.dropout_rate);
}

// [[Rcpp::export(rng = false)]]
SEXP classifier_classify_cpp(SEXP model, SEXP x, bool logits) {
  return to_r(rscvi::api::classify_features(from_handle<Model>(model), to_array(x), logits));
}

// `posterior`: as of convert_posterior.h, its model a classifier.
// [[Rcpp::export(rng = false)]]
SEXP classifier_label_probabilities_cpp(Rcpp::List posterior, SEXP sampling_model, bool with_library) {
  using rscvi::glue::to_optional;
  rscvi::api::ClassifiedCells cells{from_handle<Model>(posterior["model"]),
                                    rscvi::glue::to_classifier_input(sampling_model, with_library),
                                    from_handle<rscvi::glue::DatasetHandle>(posterior["dataset"]).dataset,
                                    rscvi::glue::to_zero_based(posterior["cells"]),
                                    option<int>(posterior, "batch_size"),
                                    option<bool>(posterior, "corrupted"),
                                    to_optional<bool>(posterior["use_cuda"]),
                                    [] { Rcpp::checkUserInterrupt(); }};
  return to_r(rscvi::api::label_probabilities(cells));
}
