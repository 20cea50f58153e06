// Glue: training.
#include <RcppEigen.h>

#include "convert.h"
#include "convert_classifier.h"
#include "core/api/classifier.h"
#include "core/api/training.h"
#include "handle.h"

using rscvi::glue::DatasetHandle;
using rscvi::glue::from_handle;
using rscvi::glue::option;
using rscvi::glue::to_optional;
using rscvi::glue::to_seed;
using rscvi::glue::to_zero_based;

namespace {

void check_user_interrupt(void*) { R_CheckUserInterrupt(); }

// Progress goes to an R function of (epoch, n_epochs, loss) that returns whether to go on; Ctrl-C is looked for between
// minibatches. R would otherwise jump out of the core with a long jump, past every destructor.
class RMonitor final : public rscvi::Monitor {
 public:
  explicit RMonitor(SEXP on_epoch) : on_epoch_(on_epoch) {}

  void on_epoch(const rscvi::EpochReport& report) override {
    if (Rf_isNull(on_epoch_)) return;
    const Rcpp::Function call(static_cast<SEXP>(on_epoch_));
    const Rcpp::RObject go_on =
        call(static_cast<double>(report.epoch), static_cast<double>(report.n_epochs), report.loss);
    stopped_ = stopped_ || !Rcpp::as<bool>(go_on);
  }

  bool should_stop() override {
    stopped_ = stopped_ || R_ToplevelExec(check_user_interrupt, nullptr) == FALSE;
    return stopped_;
  }

 private:
  Rcpp::RObject on_epoch_;
  bool stopped_ = false;
};

rscvi::TrainOptions to_train_options(const Rcpp::List& list) {
  rscvi::TrainOptions options;
  options.n_epochs = option<int>(list, "n_epochs");
  options.optimiser = {option<double>(list, "lr"), option<double>(list, "eps"), option<double>(list, "weight_decay")};
  if (const auto lr = to_optional<double>(list["lr_dispersion"])) options.dispersion = rscvi::DispersionRate{*lr};
  options.fixed_dispersion_iterations = static_cast<std::int64_t>(option<double>(list, "n_iter_fixed_dispersion"));
  options.batch_size = option<int>(list, "batch_size");
  const auto epochs = to_optional<double>(list["n_epochs_kl_warmup"]);
  const auto iterations = to_optional<double>(list["n_iter_kl_warmup"]);
  options.kl_warmup.max_weight = option<double>(list, "max_kl_weight");
  options.lr_schedule = rscvi::parse_lr_schedule(option<std::string>(list, "lr_schedule"));
  options.precision = rscvi::parse_precision(option<std::string>(list, "precision"));
  options.step_graph = option<bool>(list, "step_graph");
  options.free_bits = option<double>(list, "free_bits");
  options.kl_warmup.epochs = epochs ? std::optional<std::int64_t>(*epochs) : std::nullopt;
  options.kl_warmup.iterations = iterations ? std::optional<std::int64_t>(*iterations) : std::nullopt;
  options.first_iteration = static_cast<std::int64_t>(option<double>(list, "first_iteration"));
  options.corrupted = option<bool>(list, "corrupted");
  options.frequency = option<int>(list, "frequency");
  options.max_nans = option<int>(list, "max_nans");
  if (!Rf_isNull(list["semi_supervised"])) {
    const auto given = option<Rcpp::List>(list, "semi_supervised");
    rscvi::SemiSupervisedOptions labelled;
    labelled.labelled_cells = to_zero_based(given["labelled_cells"]);
    labelled.joint = option<bool>(given, "joint");
    labelled.classification = {option<double>(given, "classification_ratio"), option<bool>(given, "double_softmax")};
    labelled.n_epochs_classifier = option<int>(given, "n_epochs_classifier");
    labelled.lr_classification = option<double>(given, "lr_classification");
    options.semi_supervised = labelled;
  }
  options.watch_every_epoch = option<bool>(list, "watch_every_epoch");
  options.trained.names = option<std::vector<std::string>>(list, "trained");
  for (SEXP element : option<Rcpp::List>(list, "trained_columns")) {
    const Rcpp::List columns(element);
    options.trained.columns.push_back({option<std::string>(columns, "parameter"), to_zero_based(columns["which"])});
  }
  options.without_labels = option<bool>(list, "without_labels");

  options.metrics.clear();
  for (const auto& name : option<std::vector<std::string>>(list, "metrics_to_monitor")) {
    options.metrics.push_back(rscvi::parse_metric("metrics_to_monitor", name));
  }
  const auto sets = option<Rcpp::List>(list, "monitored");
  const Rcpp::CharacterVector names = sets.names();
  for (R_xlen_t k = 0; k < sets.size(); ++k) {
    options.monitored.push_back({Rcpp::as<std::string>(names[k]), to_zero_based(sets[k])});
  }
  return options;
}

void add_early_stopping(const Rcpp::List& list, rscvi::TrainOptions& options) {
  const auto metric = to_optional<std::string>(list["early_stopping_metric"]);
  const auto best_state_metric = to_optional<std::string>(list["save_best_state_metric"]);
  options.on = option<std::string>(list, "on");
  if (best_state_metric) {
    options.save_best_state_metric = rscvi::parse_metric("save_best_state_metric", *best_state_metric);
  }
  if (!metric) return;
  options.early_stopping_metric = rscvi::parse_metric("early_stopping_metric", *metric);
  rscvi::EarlyStoppingOptions stopping;
  stopping.patience = option<int>(list, "patience");
  stopping.threshold = option<double>(list, "threshold");
  stopping.reduce_lr_on_plateau = option<bool>(list, "reduce_lr_on_plateau");
  stopping.lr_patience = option<int>(list, "lr_patience");
  stopping.lr_factor = option<double>(list, "lr_factor");
  options.early_stopping = stopping;
}

// Columns epoch, loss, kl_weight, lr and one a monitored metric.
Rcpp::List to_history(const rscvi::TrainResult& result) {
  const std::size_t n = result.history.size();
  std::vector<Rcpp::NumericVector> columns;
  std::vector<std::string> names = {"epoch", "loss", "kl_weight", "lr"};
  names.insert(names.end(), result.metric_names.begin(), result.metric_names.end());
  for (std::size_t c = 0; c < names.size(); ++c) columns.emplace_back(n);
  for (std::size_t r = 0; r < n; ++r) {
    const rscvi::HistoryRow& row = result.history[r];
    columns[0][r] = static_cast<double>(row.epoch);
    columns[1][r] = row.loss;
    columns[2][r] = row.kl_weight;
    columns[3][r] = row.lr;
    for (std::size_t m = 0; m < row.metrics.size(); ++m) columns[4 + m][r] = row.metrics[m];
  }
  Rcpp::List out(names.size());
  for (std::size_t c = 0; c < names.size(); ++c) out[c] = columns[c];
  out.names() = Rcpp::wrap(names);
  return out;
}

Rcpp::List to_r(const rscvi::TrainResult& result) {
  const char* statuses[] = {"completed", "stopped_early", "interrupted", "diverged"};
  return Rcpp::List::create(Rcpp::Named("status") = statuses[static_cast<int>(result.status)],
                            Rcpp::Named("epoch") = static_cast<double>(result.epoch),
                            Rcpp::Named("sound_epoch") = static_cast<double>(result.sound_epoch),
                            Rcpp::Named("iterations") = static_cast<double>(result.iterations),
                            Rcpp::Named("best_epoch") =
                                result.best_epoch ? static_cast<double>(*result.best_epoch) : NA_REAL,
                            Rcpp::Named("history") = to_history(result));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List train_cpp(SEXP model, SEXP dataset, Rcpp::IntegerVector cells, Rcpp::List options, Rcpp::List early_stopping,
                     SEXP use_cuda, double seed, SEXP on_epoch) {
  rscvi::TrainOptions train_options = to_train_options(options);
  add_early_stopping(early_stopping, train_options);
  RMonitor monitor(on_epoch);
  return to_r(rscvi::api::train(from_handle<rscvi::api::Model>(model), from_handle<DatasetHandle>(dataset).dataset,
                                to_zero_based(cells), train_options, to_optional<bool>(use_cuda), to_seed(seed),
                                monitor));
}

// `classifier`: sampling_model (a handle or NULL), sampling_zl and double_softmax.
// [[Rcpp::export(rng = false)]]
Rcpp::List train_classifier_cpp(SEXP model, Rcpp::List classifier, SEXP dataset, Rcpp::IntegerVector cells,
                                Rcpp::List options, Rcpp::List early_stopping, SEXP use_cuda, double seed,
                                SEXP on_epoch) {
  rscvi::TrainOptions train_options = to_train_options(options);
  add_early_stopping(early_stopping, train_options);
  RMonitor monitor(on_epoch);
  const auto input =
      rscvi::glue::to_classifier_input(classifier["sampling_model"], option<bool>(classifier, "sampling_zl"));
  return to_r(rscvi::api::train_classifier(
      from_handle<rscvi::api::Model>(model), input, option<bool>(classifier, "double_softmax"),
      from_handle<DatasetHandle>(dataset).dataset, to_zero_based(cells), train_options, to_optional<bool>(use_cuda),
      to_seed(seed), monitor));
}

// [[Rcpp::export(rng = false)]]
bool has_onednn_products_cpp() { return rscvi::api::has_onednn_products(); }

// [[Rcpp::export(rng = false)]]
bool has_bfloat16_products_cpp() { return rscvi::api::has_bfloat16_products(); }

// [[Rcpp::export(rng = false)]]
bool has_cuda_graphs_cpp() { return rscvi::api::has_cuda_graphs(); }

// [[Rcpp::export(rng = false)]]
double matrix_product_gflops_cpp() { return rscvi::api::matrix_product_gflops(); }

// [[Rcpp::export(rng = false)]]
std::string faster_openblas_kernels_cpp() { return rscvi::api::faster_openblas_kernels(); }

// [[Rcpp::export(rng = false)]]
bool cuda_is_available_cpp() { return rscvi::api::cuda_is_available(); }
