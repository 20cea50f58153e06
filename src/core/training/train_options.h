// How a model is trained, and what comes of it. No LibTorch header here: the glue reads these types too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/precision.h"
#include "core/model/columns.h"
#include "core/training/early_stopping.h"
#include "core/training/kl_warmup.h"
#include "core/training/lr_schedule.h"

namespace rscvi {

struct OptimiserOptions {
  double lr = 1e-3;
  double eps = 0.01;           // of Adam; unusually large, as in scvi
  double weight_decay = 1e-6;  // L2 penalty, added to the gradient
  bool by_operators = false;   // as ever on a GPU (device_adam.h); true: on the CPU too, for tests
};

// Learning rate and eps of the log dispersions alone. A gene's log dispersion has a gradient of a hundredth or so: with
// the eps of the other weights, which is as large, it hardly moves.
struct DispersionRate {
  double lr = 1e-2;
  double eps = 1e-8;
};

// How much the labels of cells count beside the counts, for models with a classifier.
struct ClassificationOptions {
  double ratio = 50;            // weight of the classifier's loss
  bool double_softmax = false;  // as scvi 0.6.8: the softmax of probabilities
};

// How cells with and without labels are trained on together (scvi 0.6.8, inference/annotation.py).
struct SemiSupervisedOptions {
  std::vector<std::int64_t> labelled_cells;  // 0-based; no other cell's label is looked at
  // true: the loss without labels, and the classifier's loss on a minibatch of the labelled set in every step.
  // false: labelled cells' loss with, other cells' without their label.
  bool joint = true;
  ClassificationOptions classification;
  std::int64_t n_epochs_classifier = 1;  // over the labelled set, of the classifier alone, after each epoch
  double lr_classification = 5e-3;
};

// What of a model is trained. The rest is frozen: no gradient, no weight decay, and the same bits after training.
struct TrainedPart {
  // Modules or parameters by their dotted names (core/model/state.h), each with all below it: "z_encoder",
  // "decoder.px_decoder", "px_r". Without names and columns the whole model is trained.
  std::vector<std::string> names;
  // Of parameters that are otherwise frozen.
  std::vector<Columns> columns;
  // Modules that are not named work in evaluation mode: without dropout, and normalising batches by their running
  // statistics, which stay as they are. false: all are in training mode, and only parameters are frozen.
  bool evaluate_frozen = true;

  bool is_everything() const { return names.empty() && columns.empty(); }
};

// Held-out quantities that training can watch: in nats per cell, smaller is better; and the share of cells whose label
// is the classifier's most probable one, larger is better.
enum class Metric { elbo, reconstruction_error, accuracy };
bool smaller_is_better(Metric metric);

// InvalidArgument for an unknown name. The metric's name in tables is the same.
Metric parse_metric(const std::string& option, const std::string& name);
std::string name_of(Metric metric);

// Cells that metrics are computed on.
struct MonitoredSet {
  std::string name;                 // "train_set", ...
  std::vector<std::int64_t> cells;  // 0-based
};

struct TrainOptions {
  std::int64_t n_epochs = 400;
  OptimiserOptions optimiser;
  std::optional<DispersionRate> dispersion;  // none: as all other weights, as in scvi
  // Log dispersions stay as the model has them for so many minibatches, those of earlier calls included.
  std::int64_t fixed_dispersion_iterations = 0;
  LrSchedule lr_schedule = LrSchedule::constant;  // cosine: not together with early stopping's reduce_lr_on_plateau
  std::int64_t batch_size = 128;
  Precision precision = Precision::single;  // of the large products of a step; metrics are in single precision
  KlWarmup kl_warmup;
  // Nats that the KL term of each latent dimension, averaged over a minibatch, counts at least: below them nothing is
  // gained by making it smaller (Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow",
  // appendix C.8). For models without a classifier.
  double free_bits = 0;
  std::int64_t first_iteration = 0;  // minibatches that the model has seen in earlier calls, for the warm-up
  bool corrupted = false;            // train and monitor on the corrupted counts

  // Metrics every so many epochs, before the first and after the last; 0: never. Those of the set `on` that early
  // stopping or the best state look at are computed after every epoch, see watch_every_epoch.
  std::int64_t frequency = 0;
  std::vector<Metric> metrics = {Metric::elbo};
  std::vector<MonitoredSet> monitored;

  std::optional<EarlyStoppingOptions> early_stopping;
  Metric early_stopping_metric = Metric::elbo;
  std::optional<Metric> save_best_state_metric;  // restore the weights that did best on it
  std::string on = "test_set";                   // the monitored set that these two look at
  bool watch_every_epoch = true;                 // false: they look when `frequency` has the metrics computed

  std::optional<SemiSupervisedOptions> semi_supervised;  // for models with a classifier
  bool without_labels = false;  // the same: labels are not looked at
  TrainedPart trained;

  std::int64_t max_nans = 10;  // so many minibatches in a row without a finite loss end training

  // What follows is decided by the device that the module is on; tests set it on the CPU. Untested on a GPU.
  // true: the losses of an epoch are read when it is over, and its minibatches without a finite loss, which are stepped
  // over as ever, are counted then: between the steps nothing waits for the device. Default: on a GPU.
  std::optional<bool> deferred_checks;
  // Counts that take up to so many bytes, 8 an entry that is stored, are kept on the module's device as a whole
  // (data/device_cells.h); others are sent minibatch by minibatch. Default: largest_on_gpu there, 0 on the CPU.
  std::optional<std::int64_t> largest_on_device;
  // true: with deferred checks, steps of plans whose loss comes in parts (plan.h) are recorded and repeated
  // (repeated_steps.h); DeviceError on a GPU for which rscvi was built without CUDA graphs. Other plans' are called.
  bool step_graph = false;
};

constexpr std::int64_t largest_on_gpu = std::int64_t{4} << 30;

enum class TrainStatus { completed, stopped_early, interrupted, diverged };

// One row of the history; epoch 0 is before training.
struct HistoryRow {
  std::int64_t epoch = 0;
  double loss = 0, kl_weight = 0, lr = 0;  // NaN in epoch 0
  std::vector<double> metrics;             // set by set, metric by metric; NaN where not computed
};

struct TrainResult {
  TrainStatus status = TrainStatus::completed;
  std::int64_t epoch = 0;       // the last epoch that was begun
  std::int64_t iterations = 0;  // minibatches trained on, those of earlier calls included
  std::int64_t sound_epoch = 0;  // diverged: the model is as it was after this epoch; 0: before training
  std::optional<std::int64_t> best_epoch;  // of save_best_state_metric
  std::vector<std::string> metric_names;   // "elbo_train_set", ...
  std::vector<HistoryRow> history;
};

}  // namespace rscvi
