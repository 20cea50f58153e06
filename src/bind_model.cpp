// Glue: models.
#include <RcppEigen.h>

#include <cstring>

#include "convert.h"
#include "convert_noise.h"
#include "core/api/model.h"
#include "handle.h"

using rscvi::glue::DatasetHandle;
using rscvi::glue::from_handle;
using rscvi::glue::option;
using rscvi::glue::to_array;
using rscvi::glue::to_noise;
using rscvi::glue::to_optional;
using rscvi::glue::to_r;
using rscvi::glue::to_seed;
using rscvi::glue::to_zero_based;
using rscvi::api::Model;

namespace {

rscvi::VaeOptions to_vae_options(const Rcpp::List& list) {
  rscvi::VaeOptions options;
  options.type = rscvi::parse_model_type(option<std::string>(list, "type"));
  options.n_input = option<int>(list, "n_input");
  options.n_batch = option<int>(list, "n_batch");
  options.n_labels = option<int>(list, "n_labels");
  options.n_hidden = option<int>(list, "n_hidden");
  options.n_latent = option<int>(list, "n_latent");
  options.n_layers = option<int>(list, "n_layers");
  options.dropout_rate = option<double>(list, "dropout_rate");
  options.dispersion = rscvi::parse_dispersion(option<std::string>(list, "dispersion"));
  options.log_variational = option<bool>(list, "log_variational");
  options.reconstruction_loss = rscvi::parse_reconstruction_loss(option<std::string>(list, "reconstruction_loss"));
  options.latent_distribution = rscvi::parse_latent_distribution(option<std::string>(list, "latent_distribution"));
  options.library = rscvi::parse_library(option<std::string>(list, "library"));
  options.dispersion_start = rscvi::parse_dispersion_start(option<std::string>(list, "dispersion_start"));
  options.library_start = rscvi::parse_library_start(option<std::string>(list, "library_start"));
  options.scale_start = rscvi::parse_scale_start(option<std::string>(list, "scale_start"));
  options.normalisation = rscvi::parse_normalisation(option<std::string>(list, "normalisation"));
  options.encode_covariates = option<bool>(list, "encode_covariates");
  for (const int n : option<std::vector<int>>(list, "n_categories")) options.n_categories.push_back(n);
  const auto mean = option<std::vector<double>>(list, "continuous_mean");
  const auto sd = option<std::vector<double>>(list, "continuous_sd");
  for (std::size_t k = 0; k < mean.size(); ++k) options.continuous.push_back({mean[k], sd[k]});
  if (options.type == rscvi::ModelType::ldvae) {
    options.use_batch_norm = option<bool>(list, "use_batch_norm");
    options.bias = option<bool>(list, "bias");
  }
  if (!rscvi::has_classifier(options.type)) return options;
  if (!Rf_isNull(list["y_prior"])) options.y_prior = option<std::vector<double>>(list, "y_prior");
  const auto classifier = option<Rcpp::List>(list, "classifier_parameters");
  options.classifier.n_hidden = option<int>(classifier, "n_hidden");
  options.classifier.n_layers = option<int>(classifier, "n_layers");
  options.classifier.dropout_rate = option<double>(classifier, "dropout_rate");
  if (options.type == rscvi::ModelType::scanvi) options.labels_groups = to_zero_based(list["labels_groups"]);
  if (options.type == rscvi::ModelType::vaec) options.encode_labels_twice = option<bool>(list, "encode_labels_twice");
  return options;
}

// x, batch_index, y, categorical, continuous, local_l_mean, local_l_var; any but x may be NULL or missing.
rscvi::api::Cells to_cells(const Rcpp::List& list) {
  const auto element = [&](const char* name) -> SEXP {
    return list.containsElementNamed(name) ? static_cast<SEXP>(list[name]) : R_NilValue;
  };
  rscvi::api::Cells cells;
  cells.x = to_array(element("x"));
  cells.local_l_mean = to_array(element("local_l_mean"));
  cells.local_l_var = to_array(element("local_l_var"));
  cells.batch_index = to_zero_based(element("batch_index"));
  cells.label = to_zero_based(element("y"));
  if (!Rf_isNull(element("categorical"))) {
    for (SEXP codes : Rcpp::List(element("categorical"))) cells.categorical.push_back(to_zero_based(codes));
  }
  if (!Rf_isNull(element("continuous"))) {
    for (SEXP values : Rcpp::List(element("continuous"))) {
      cells.continuous.push_back(Rcpp::as<std::vector<double>>(values));
    }
  }
  return cells;
}

}  // namespace

// A whole number that depends on every bit of the weights (FNV-1a by words; Fowler, Noll & Vo 1991), below 2^53.
// [[Rcpp::export(rng = false)]]
double fingerprint_cpp(Rcpp::List weights) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const Rcpp::NumericVector values : weights) {
    for (const double value : values) {
      std::uint64_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      hash = (hash ^ bits ^ (bits >> 32)) * 0x100000001b3ULL;  // floats fill the upper half alone
    }
  }
  return static_cast<double>(hash >> 11);
}

// [[Rcpp::export(rng = false)]]
SEXP model_new_cpp(Rcpp::List options, double seed) {
  return Rcpp::XPtr<Model>(new Model(to_vae_options(options), to_seed(seed)), true);
}

// [[Rcpp::export(rng = false)]]
void model_start_from_data_cpp(SEXP model, SEXP dataset) {
  from_handle<Model>(model).start_from_data(*from_handle<DatasetHandle>(dataset).dataset);
}

// [[Rcpp::export(rng = false)]]
SEXP model_with_more_batches_cpp(SEXP model, int n_new) {
  return Rcpp::XPtr<Model>(new Model(from_handle<Model>(model).with_more_batches(n_new)), true);
}

// One element a parameter: its name, and the columns of n batches from `first` on; all 1-based.
// [[Rcpp::export(rng = false)]]
Rcpp::List model_columns_of_batches_cpp(SEXP model, int first, int n) {
  Rcpp::List out;
  for (const rscvi::Columns& columns : from_handle<Model>(model).columns_of_batches(first - 1, n)) {
    out.push_back(Rcpp::List::create(Rcpp::Named("parameter") = columns.parameter,
                                     Rcpp::Named("which") = rscvi::glue::to_one_based(columns.which)));
  }
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List model_default_options_cpp() {
  const rscvi::VaeOptions options;
  return Rcpp::List::create(
      Rcpp::Named("n_batch") = static_cast<int>(options.n_batch),
      Rcpp::Named("n_labels") = static_cast<int>(options.n_labels),
      Rcpp::Named("n_hidden") = static_cast<int>(options.n_hidden),
      Rcpp::Named("n_latent") = static_cast<int>(options.n_latent),
      Rcpp::Named("n_layers") = static_cast<int>(options.n_layers),
      Rcpp::Named("dropout_rate") = options.dropout_rate, Rcpp::Named("log_variational") = options.log_variational,
      Rcpp::Named("encode_covariates") = options.encode_covariates,
      Rcpp::Named("library") = options.library == rscvi::Library::latent ? "latent" : "another",
      Rcpp::Named("dispersion_start") =
          options.dispersion_start == rscvi::DispersionStart::normal ? "normal" : "another",
      Rcpp::Named("library_start") = options.library_start == rscvi::LibraryStart::random ? "random" : "another",
      Rcpp::Named("scale_start") = options.scale_start == rscvi::ScaleStart::random ? "random" : "another",
      Rcpp::Named("normalisation") = options.normalisation == rscvi::Normalisation::batch ? "batch" : "another");
}

// [[Rcpp::export(rng = false)]]
Rcpp::List model_state_cpp(SEXP model) { return to_r(from_handle<Model>(model).state()); }

// [[Rcpp::export(rng = false)]]
void model_load_state_cpp(SEXP model, Rcpp::List state) {
  const Rcpp::CharacterVector names = state.names();
  rscvi::api::NamedArrays arrays;
  for (R_xlen_t k = 0; k < state.size(); ++k) {
    arrays.emplace_back(Rcpp::as<std::string>(names[k]), to_array(state[k]));
  }
  from_handle<Model>(model).load_state(arrays);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List model_inference_cpp(SEXP model, Rcpp::List cells, int n_samples, SEXP transform_batch, Rcpp::List noise,
                               double seed) {
  auto batch = to_optional<int>(transform_batch);
  return to_r(from_handle<Model>(model).inference(
      to_cells(cells), n_samples, batch ? std::optional<std::int64_t>(*batch - 1) : std::nullopt, to_noise(noise),
      to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List model_loss_terms_cpp(SEXP model, Rcpp::List cells, Rcpp::List noise, double seed) {
  return to_r(from_handle<Model>(model).loss_terms(to_cells(cells), to_noise(noise), to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List model_unlabelled_loss_terms_cpp(SEXP model, Rcpp::List cells, Rcpp::List noise, double seed) {
  return to_r(from_handle<Model>(model).unlabelled_loss_terms(to_cells(cells), to_noise(noise), to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List model_latents_cpp(SEXP model, Rcpp::List cells, Rcpp::List noise, double seed) {
  return to_r(from_handle<Model>(model).latents(to_cells(cells), to_noise(noise), to_seed(seed)));
}

// [[Rcpp::export(rng = false)]]
SEXP model_classify_cpp(SEXP model, Rcpp::List cells) {
  return to_r(from_handle<Model>(model).classify(to_cells(cells)));
}

// [[Rcpp::export(rng = false)]]
std::vector<double> model_fit_minibatches_cpp(SEXP model, Rcpp::List minibatches, Rcpp::List noise, double kl_weight,
                                              Rcpp::List classification, double lr, double eps, double weight_decay,
                                              double seed) {
  std::vector<rscvi::api::Cells> cells;
  std::vector<rscvi::api::NoiseArrays> draws;
  for (R_xlen_t k = 0; k < minibatches.size(); ++k) {
    cells.push_back(to_cells(minibatches[k]));
    draws.push_back(to_noise(noise[k]));
  }
  return from_handle<Model>(model).fit_minibatches(
      cells, draws, kl_weight,
      {option<double>(classification, "ratio"), option<bool>(classification, "double_softmax")},
      {lr, eps, weight_decay}, to_seed(seed));
}

// [[Rcpp::export(rng = false)]]
std::vector<double> log_probability_cpp(std::string distribution, std::vector<double> x, std::vector<double> mu,
                                        std::vector<double> theta, std::vector<double> pi) {
  return rscvi::api::log_probability(distribution, x, mu, theta, pi);
}
