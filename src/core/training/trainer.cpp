#include "core/training/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/errors.h"
#include "core/base/kept_memory.h"
#include "core/base/precision.h"
#include "core/model/state.h"
#include "core/training/deferred_losses.h"
#include "core/training/optimiser.h"
#include "core/training/repeated_steps.h"
#include "core/training/trainable.h"
#include "core/training/vae_plan.h"

namespace rscvi {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t smallest_minibatch = 3;      // batch normalisation of one or two cells is noise
constexpr std::int64_t smallest_monitored_set = 5;  // a mean over fewer cells says nothing

// ln theta of each gene (and batch, or label), if it is among what is trained and is to have a rate of its own, or to
// rest for a while.
std::vector<Optimiser::OwnRate> own_rates(torch::nn::Module& module, const TrainOptions& options) {
  const auto parameters = module.named_parameters(/*recurse=*/false);
  const at::Tensor* dispersions = parameters.find("px_r");
  if (dispersions == nullptr) return {};
  if (options.dispersion) return {{*dispersions, options.dispersion->lr, options.dispersion->eps}};
  if (options.fixed_dispersion_iterations > 0) return {{*dispersions, options.optimiser.lr, options.optimiser.eps}};
  return {};
}

c10::Device device_of(const std::vector<at::Tensor>& parameters) {
  return parameters.empty() ? c10::Device(c10::kCPU) : parameters.front().device();
}

// The state of one call of train().
class Run {
 public:
  Run(Plan& plan, const std::vector<std::int64_t>& train_cells, const TrainOptions& options,
      const RandomStream& random, Monitor& monitor)
      : plan_(plan),
        module_(plan.module()),
        train_cells_(train_cells),
        options_(options),
        shuffling_(random.split(stream::shuffling)),
        monitoring_(random.split(stream::monitoring)),
        monitor_(monitor),
        trainable_(module_, options.trained),
        optimiser_(trainable_.parameters(), options.optimiser, own_rates(*module_, options)),
        checks_are_deferred_(options.deferred_checks.value_or(!device_of(trainable_.parameters()).is_cpu())) {
    if (options.step_graph && checks_are_deferred_) repeat_steps();
    if (options.early_stopping) early_stopping_.emplace(*options.early_stopping);
    for (const auto& set : options.monitored) {
      for (const Metric metric : options.metrics) result_.metric_names.push_back(name_of(metric) + "_" + set.name);
    }
    result_.iterations = options.first_iteration;
    last_sound_state_ = copy_state(*module_);
  }

  TrainResult operator()() {
    record(/*epoch=*/0, nan, nan, nan);
    observe(/*epoch=*/0);
    for (std::int64_t epoch = 1; epoch <= options_.n_epochs; ++epoch) {
      result_.epoch = epoch;
      if (options_.lr_schedule != LrSchedule::constant) set_scheduled_lr(epoch);
      const double kl_weight_at_start = options_.kl_warmup.weight(epoch - 1, result_.iterations);
      const double loss = run_epoch(epoch);
      // A step can spoil the weights although its own loss was finite, and so can the epoch's last one.
      if (!is_finite(*module_)) result_.status = TrainStatus::diverged;
      if (result_.status == TrainStatus::diverged) {
        load_state(*module_, last_sound_state_);
        break;
      }
      record(epoch, loss, kl_weight_at_start, optimiser_.lr());
      monitor_.on_epoch({epoch, options_.n_epochs, loss});
      if (result_.status == TrainStatus::interrupted) break;
      untried_state_ = copy_state(*module_);
      untried_epoch_ = epoch;
      if (!observe(epoch)) {
        result_.status = TrainStatus::stopped_early;
        break;
      }
    }
    // Losses that are not finite may be stepped over, but not to the end; nor has a next epoch tried the last weights.
    if (result_.status != TrainStatus::diverged && (nans_in_a_row_ > 0 || !last_weights_are_sound())) {
      result_.status = TrainStatus::diverged;
      load_state(*module_, last_sound_state_);
    }
    if (result_.best_epoch && result_.status != TrainStatus::diverged) load_state(*module_, best_state_);
    module_->eval();
    return std::move(result_);
  }

 private:
  void repeat_steps() {
    loss_in_parts_ = plan_.loss_in_parts();
    if (!loss_in_parts_) return;
    const c10::Device device = device_of(trainable_.parameters());
    repeated_.emplace(make_step_graph(device, *loss_in_parts_->random), options_.batch_size);
    kl_weight_ = at::zeros({}, at::TensorOptions(at::kFloat).device(device));
  }

  void set_scheduled_lr(std::int64_t epoch) {
    optimiser_.set_lr(scheduled_lr(options_.lr_schedule, options_.optimiser.lr, epoch, options_.n_epochs));
  }

  // Mean loss over the minibatches of one epoch.
  double run_epoch(std::int64_t epoch) {
    trainable_.enter_training_mode();
    const std::vector<std::int64_t> order = shuffling_.permutation(static_cast<std::int64_t>(train_cells_.size()));
    std::vector<std::int64_t> cells(order.size());
    for (std::size_t k = 0; k < order.size(); ++k) cells[k] = train_cells_[order[k]];

    loss_sum_ = cells_seen_ = 0;
    const auto n = static_cast<std::int64_t>(cells.size());
    for (std::int64_t start = 0; start < n && result_.status == TrainStatus::completed; start += options_.batch_size) {
      const std::int64_t size = std::min(options_.batch_size, n - start);
      if (size < smallest_minibatch) continue;
      if (monitor_.should_stop()) {
        result_.status = TrainStatus::interrupted;
        break;
      }
      step(cells.data() + start, size, options_.kl_warmup.weight(epoch - 1, result_.iterations));
    }
    look_at_deferred();
    if (result_.status == TrainStatus::completed) plan_.end_epoch();
    return cells_seen_ > 0 ? loss_sum_ / cells_seen_ : nan;
  }

  // A minibatch without a finite loss is not stepped on: its gradients would spoil every weight for good.
  void step(const std::int64_t* cells, std::int64_t size, double kl_weight) {
    const PrecisionScope scope(options_.precision);
    ++result_.iterations;
    const bool own_rates_rest = result_.iterations <= options_.fixed_dispersion_iterations;
    if (repeated_) {
      deferred_.add(repeated_step(cells, size, kl_weight, own_rates_rest), size);
      return;
    }
    optimiser_.let_own_rates_rest(own_rates_rest);
    const at::Tensor loss = plan_.loss(cells, size, kl_weight);
    if (checks_are_deferred_) {
      deferred_.add(take_step_unseen(loss), size);
      return;
    }
    const double value = loss.item<double>();
    look_at(value, size);
    if (std::isfinite(value)) take_step(loss);
  }

  // What differs between steps lies in the minibatch, the weight's place and the optimiser's learning rate; steps
  // before and after dispersions begin to learn are of two kinds.
  at::Tensor repeated_step(const std::int64_t* cells, std::int64_t size, double kl_weight, bool own_rates_rest) {
    const Minibatch minibatch = loss_in_parts_->gather(cells, size);
    kl_weight_.fill_(kl_weight);
    const int kind = own_rates_rest ? 1 : 0;
    return (*repeated_)(minibatch, kind, [this, own_rates_rest](const Minibatch& place) {
      optimiser_.let_own_rates_rest(own_rates_rest);
      return take_step_unseen(loss_in_parts_->loss(place, kl_weight_));
    });
  }

  void take_step(const at::Tensor& loss, const at::Tensor& is_sound = {}) {
    optimiser_.step(loss, is_sound);
    trainable_.restore_frozen_columns();
  }

  // One that does nothing if the loss is not finite, which the host does not look at; gives the loss.
  at::Tensor take_step_unseen(const at::Tensor& loss) {
    take_step(loss, loss.detach().abs() < infinity);
    return loss.detach();
  }

  void look_at(double loss, std::int64_t size) {
    if (std::isfinite(loss)) {
      nans_in_a_row_ = 0;
      accept_untried_state();
      loss_sum_ += loss * static_cast<double>(size);
      cells_seen_ += static_cast<double>(size);
    } else if (++nans_in_a_row_ >= options_.max_nans) {
      result_.status = TrainStatus::diverged;
    }
  }

  // As if they had been looked at one by one. Steps after divergence do not count: their weights are put back.
  void look_at_deferred() {
    const std::vector<SeenLoss> losses = deferred_.take();
    for (std::size_t k = 0; k < losses.size(); ++k) {
      look_at(losses[k].value, losses[k].n_cells);
      if (result_.status != TrainStatus::diverged) continue;
      result_.iterations -= static_cast<std::int64_t>(losses.size() - k - 1);
      return;
    }
  }

  // Weights can be finite and still so large that every loss is not: the end of an epoch is sound, and worth going back
  // to, once the next epoch got a finite loss from it.
  void accept_untried_state() {
    if (untried_state_.empty()) return;
    last_sound_state_ = std::move(untried_state_);
    untried_state_.clear();
    result_.sound_epoch = untried_epoch_;
  }

  // Whether some cell of a few minibatches has a finite loss, without dropout.
  bool last_weights_are_sound() {
    if (untried_state_.empty()) return true;
    const auto n = static_cast<std::int64_t>(train_cells_.size());
    for (std::int64_t start = 0; start < std::min(n, options_.max_nans * options_.batch_size);
         start += options_.batch_size) {
      const std::int64_t size = std::min(options_.batch_size, n - start);
      if (plan_.is_sound(train_cells_.data() + start, size, monitoring_)) return true;
    }
    return false;
  }

  bool metrics_are_due(std::int64_t epoch) const {
    if (options_.frequency <= 0) return false;
    return epoch == 0 || epoch == options_.n_epochs || epoch % options_.frequency == 0;
  }

  void record(std::int64_t epoch, double loss, double kl_weight, double lr) {
    HistoryRow row{epoch, loss, kl_weight, lr, std::vector<double>(result_.metric_names.size(), nan)};
    std::size_t column = 0;
    for (const auto& set : options_.monitored) {
      const std::size_t first = column;
      column += options_.metrics.size();
      const bool watched = is_watching() && set.name == options_.on;
      if (!(watched && options_.watch_every_epoch) && !metrics_are_due(epoch)) continue;
      if (static_cast<std::int64_t>(set.cells.size()) < smallest_monitored_set) continue;
      const MetricValues values = plan_.evaluate(set.cells, wanted_metrics(), monitoring_);
      if (watched) watched_ = values;
      for (std::size_t m = 0; m < options_.metrics.size(); ++m) {
        row.metrics[first + m] = values.at(options_.metrics[m]);
      }
    }
    result_.history.push_back(std::move(row));
  }

  bool is_watching() const { return early_stopping_ || options_.save_best_state_metric; }

  // Those of the history, and what early stopping and the best state look at.
  std::vector<Metric> wanted_metrics() const {
    std::vector<Metric> wanted = options_.metrics;
    if (early_stopping_) wanted.push_back(options_.early_stopping_metric);
    if (options_.save_best_state_metric) wanted.push_back(*options_.save_best_state_metric);
    return wanted;
  }

  // What is to become small.
  double pick_cost(Metric metric) const {
    const double value = watched_.at(metric);
    return smaller_is_better(metric) ? value : -value;
  }

  // Early stopping and the best state look at what the history just got, in every epoch whatever `frequency` says: the
  // metrics are random, and another draw would have them disagree with the history. False: time to stop.
  bool observe(std::int64_t epoch) {
    if (!is_watching() || (!options_.watch_every_epoch && !metrics_are_due(epoch))) return true;
    if (options_.save_best_state_metric) {
      const double value = pick_cost(*options_.save_best_state_metric);
      if (value < best_value_) {
        best_value_ = value;
        best_state_ = copy_state(*module_);
        result_.best_epoch = epoch;
      }
    }
    if (!early_stopping_ || epoch == 0) return true;
    const EarlyStopping::Verdict verdict = early_stopping_->observe(pick_cost(options_.early_stopping_metric));
    if (verdict.reduce_lr) optimiser_.set_lr(optimiser_.lr() * options_.early_stopping->lr_factor);
    return !verdict.stop;
  }

  KeptMemory memory_;  // the first member, which outlives all others
  Plan& plan_;
  std::shared_ptr<torch::nn::Module> module_;
  const std::vector<std::int64_t>& train_cells_;
  const TrainOptions& options_;
  RandomStream shuffling_, monitoring_;
  Monitor& monitor_;
  Trainable trainable_;
  Optimiser optimiser_;
  std::optional<EarlyStopping> early_stopping_;
  State last_sound_state_, untried_state_, best_state_;
  std::int64_t untried_epoch_ = 0;
  MetricValues watched_;  // of the set that they look at, after the last epoch
  double best_value_ = infinity;
  bool checks_are_deferred_;
  DeferredLosses deferred_;
  // Where steps are repeated:
  std::optional<LossInParts> loss_in_parts_;
  std::optional<RepeatedSteps> repeated_;
  at::Tensor kl_weight_;  // of the next step
  double loss_sum_ = 0, cells_seen_ = 0;  // of this epoch, where the loss was finite
  std::int64_t nans_in_a_row_ = 0;
  TrainResult result_;
};

// Early stopping on a set that is not there, or too small to say anything, would never stop or stop at once.
void check_watched_set(const TrainOptions& options) {
  if (!options.early_stopping && !options.save_best_state_metric) return;
  for (const auto& set : options.monitored) {
    if (set.name != options.on) continue;
    if (static_cast<std::int64_t>(set.cells.size()) >= smallest_monitored_set) return;
    throw InvalidArgument("early stopping looks at '" + options.on + "', which has " +
                          std::to_string(set.cells.size()) + " cells; at least " +
                          std::to_string(smallest_monitored_set) + " are needed: lower train_size");
  }
  throw InvalidArgument("early stopping looks at '" + options.on + "', but the trainer has no set of that name");
}

}  // namespace

TrainResult train(Plan& plan, const std::vector<std::int64_t>& train_cells, const TrainOptions& options,
                  const RandomStream& random, Monitor& monitor) {
  check_watched_set(options);
  if (options.batch_size < smallest_minibatch) {
    throw InvalidArgument("batch_size must be at least " + std::to_string(smallest_minibatch) + ", not " +
                          std::to_string(options.batch_size));
  }
  if (static_cast<std::int64_t>(train_cells.size()) < smallest_minibatch) {
    throw InvalidArgument("the training set has " + std::to_string(train_cells.size()) + " cells; at least " +
                          std::to_string(smallest_minibatch) + " are needed");
  }
  Run run(plan, train_cells, options, random, monitor);
  return run();
}

TrainResult train(Vae model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                  const TrainOptions& options, const RandomStream& random, Monitor& monitor) {
  const auto plan = make_plan(std::move(model), std::move(dataset), options, random);
  return train(*plan, train_cells, options, random, monitor);
}

}  // namespace rscvi
