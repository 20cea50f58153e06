#include "core/training/trainer.h"

#include <ATen/ATen.h>
#include <torch/optim/adam.h>

#include <cmath>
#include <limits>

#include "core/base/errors.h"
#include "core/model/state.h"
#include "core/posterior/likelihood.h"

namespace rscvi {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t smallest_minibatch = 3;      // batch normalisation of one or two cells is noise
constexpr std::int64_t smallest_monitored_set = 5;  // a mean over fewer cells says nothing

// Adam over all parameters that the loss reaches; the rest (a dropout decoder that nobody uses) stays as it is.
class Optimiser {
 public:
  Optimiser(const Vae& model, const OptimiserOptions& options)
      : adam_(model->parameters(),
              torch::optim::AdamOptions(options.lr).eps(options.eps).weight_decay(options.weight_decay)) {
    // Gradients that somebody else left behind must not count as reached.
    for (auto& parameter : model->parameters()) parameter.mutable_grad() = at::Tensor();
  }

  void step(const at::Tensor& loss) {
    adam_.zero_grad();
    loss.backward();
    adam_.step();
  }

  double lr() { return options().lr(); }
  void set_lr(double lr) { options().lr(lr); }

 private:
  torch::optim::AdamOptions& options() {
    return static_cast<torch::optim::AdamOptions&>(adam_.param_groups()[0].options());
  }
  torch::optim::Adam adam_;
};

at::Tensor mean_loss(Vae& model, const Minibatch& minibatch, const Noise& noise, double kl_weight,
                     RandomStream& random) {
  const LossTerms terms = model->loss_terms(minibatch, noise, random);
  return (terms.reconst_loss + terms.kl_l + kl_weight * terms.kl_z).mean();
}

// The state of one call of train().
class Run {
 public:
  Run(Vae model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
      const TrainOptions& options, const RandomStream& random, Monitor& monitor)
      : model_(std::move(model)),
        dataset_(std::move(dataset)),
        train_cells_(train_cells),
        options_(options),
        shuffling_(random.split(stream::shuffling)),
        training_(random.split(stream::training)),
        monitoring_(random.split(stream::monitoring)),
        monitor_(monitor),
        optimiser_(model_, options.optimiser),
        counts_(options.corrupted ? CountsKind::corrupted : CountsKind::observed) {
    if (options.early_stopping) early_stopping_.emplace(*options.early_stopping);
    for (const auto& set : options.monitored) {
      for (const Metric metric : options.metrics) result_.metric_names.push_back(name_of(metric) + "_" + set.name);
    }
    result_.iterations = options.first_iteration;
    last_sound_state_ = copy_state(*model_);
  }

  TrainResult operator()() {
    record(/*epoch=*/0, nan, nan, nan);
    observe(/*epoch=*/0);
    for (std::int64_t epoch = 1; epoch <= options_.n_epochs; ++epoch) {
      result_.epoch = epoch;
      const double kl_weight_at_start = options_.kl_warmup.weight(epoch - 1, result_.iterations);
      const double loss = run_epoch(epoch);
      // A step can spoil the weights although its own loss was finite, and so can the epoch's last one.
      if (!is_finite(*model_)) result_.status = TrainStatus::diverged;
      if (result_.status == TrainStatus::diverged) {
        load_state(*model_, last_sound_state_);
        break;
      }
      record(epoch, loss, kl_weight_at_start, optimiser_.lr());
      monitor_.on_epoch({epoch, options_.n_epochs, loss});
      if (result_.status == TrainStatus::interrupted) break;
      untried_state_ = copy_state(*model_);
      untried_epoch_ = epoch;
      if (!observe(epoch)) {
        result_.status = TrainStatus::stopped_early;
        break;
      }
    }
    // Losses that are not finite may be stepped over, but not to the end; nor has a next epoch tried the last weights.
    if (result_.status != TrainStatus::diverged && (nans_in_a_row_ > 0 || !last_weights_are_sound())) {
      result_.status = TrainStatus::diverged;
      load_state(*model_, last_sound_state_);
    }
    if (result_.best_epoch && result_.status != TrainStatus::diverged) load_state(*model_, best_state_);
    model_->eval();
    return std::move(result_);
  }

 private:
  // Mean loss over the minibatches of one epoch.
  double run_epoch(std::int64_t epoch) {
    model_->train();
    const std::vector<std::int64_t> order = shuffling_.permutation(static_cast<std::int64_t>(train_cells_.size()));
    std::vector<std::int64_t> cells(order.size());
    for (std::size_t k = 0; k < order.size(); ++k) cells[k] = train_cells_[order[k]];

    double loss_sum = 0, cells_seen = 0;
    const auto n = static_cast<std::int64_t>(cells.size());
    for (std::int64_t start = 0; start < n; start += options_.batch_size) {
      const std::int64_t size = std::min(options_.batch_size, n - start);
      if (size < smallest_minibatch) continue;
      if (monitor_.should_stop()) {
        result_.status = TrainStatus::interrupted;
        break;
      }
      const double loss = step(cells.data() + start, size, options_.kl_warmup.weight(epoch - 1, result_.iterations));
      if (result_.status == TrainStatus::diverged) break;
      if (!std::isfinite(loss)) continue;
      loss_sum += loss * static_cast<double>(size);
      cells_seen += static_cast<double>(size);
    }
    return cells_seen > 0 ? loss_sum / cells_seen : nan;
  }

  // A minibatch without a finite loss is not stepped on: its gradients would spoil every weight for good.
  double step(const std::int64_t* cells, std::int64_t size, double kl_weight) {
    const Minibatch minibatch = gather_minibatch(*dataset_, cells, size, counts_, model_->device());
    const at::Tensor loss = mean_loss(model_, minibatch, Noise(), kl_weight, training_);
    const double value = loss.item<double>();
    ++result_.iterations;
    if (std::isfinite(value)) {
      nans_in_a_row_ = 0;
      accept_untried_state();
      optimiser_.step(loss);
    } else if (++nans_in_a_row_ >= options_.max_nans) {
      result_.status = TrainStatus::diverged;
    }
    return value;
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
    const EvaluationScope evaluation(model_);
    const auto n = static_cast<std::int64_t>(train_cells_.size());
    for (std::int64_t start = 0; start < std::min(n, options_.max_nans * options_.batch_size);
         start += options_.batch_size) {
      const Minibatch minibatch = gather_minibatch(*dataset_, train_cells_.data() + start,
                                                   std::min(options_.batch_size, n - start), counts_, model_->device());
      const LossTerms terms = model_->loss_terms(minibatch, Noise(), monitoring_);
      if (at::isfinite(terms.reconst_loss + terms.kl_z + terms.kl_l).any().item<bool>()) return true;
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
      if (!watched && !metrics_are_due(epoch)) continue;
      if (static_cast<std::int64_t>(set.cells.size()) < smallest_monitored_set) continue;
      const MeanLossTerms terms = loss_terms_on(set.cells);
      if (watched) watched_terms_ = terms;
      for (std::size_t m = 0; m < options_.metrics.size(); ++m) {
        row.metrics[first + m] = pick(terms, options_.metrics[m]);
      }
    }
    result_.history.push_back(std::move(row));
  }

  bool is_watching() const { return early_stopping_ || options_.save_best_state_metric; }

  MeanLossTerms loss_terms_on(const std::vector<std::int64_t>& cells) {
    Posterior posterior;
    posterior.model = model_;
    posterior.dataset = dataset_;
    posterior.cells = cells;
    posterior.batch_size = options_.batch_size;
    posterior.counts = counts_;
    return mean_loss_terms(posterior, Noise(), monitoring_);
  }

  static double pick(const MeanLossTerms& terms, Metric metric) {
    return metric == Metric::elbo ? terms.negative_elbo() : terms.reconst_loss;
  }

  // Early stopping and the best state look at what the history just got, in every epoch whatever `frequency` says: the
  // metrics are random, and another draw would have them disagree with the history. False: time to stop.
  bool observe(std::int64_t epoch) {
    if (!is_watching()) return true;
    if (options_.save_best_state_metric) {
      const double value = pick(watched_terms_, *options_.save_best_state_metric);
      if (value < best_value_) {
        best_value_ = value;
        best_state_ = copy_state(*model_);
        result_.best_epoch = epoch;
      }
    }
    if (!early_stopping_ || epoch == 0) return true;
    const EarlyStopping::Verdict verdict = early_stopping_->observe(pick(watched_terms_, options_.early_stopping_metric));
    if (verdict.reduce_lr) optimiser_.set_lr(optimiser_.lr() * options_.early_stopping->lr_factor);
    return !verdict.stop;
  }

  Vae model_;
  std::shared_ptr<const Dataset> dataset_;
  const std::vector<std::int64_t>& train_cells_;
  const TrainOptions& options_;
  RandomStream shuffling_, training_, monitoring_;
  Monitor& monitor_;
  Optimiser optimiser_;
  CountsKind counts_;
  std::optional<EarlyStopping> early_stopping_;
  State last_sound_state_, untried_state_, best_state_;
  std::int64_t untried_epoch_ = 0;
  MeanLossTerms watched_terms_;  // of the set that they look at, after the last epoch
  double best_value_ = std::numeric_limits<double>::infinity();
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

std::string name_of(Metric metric) { return metric == Metric::elbo ? "elbo" : "reconstruction_error"; }

Metric parse_metric(const std::string& option, const std::string& name) {
  for (const Metric metric : {Metric::elbo, Metric::reconstruction_error}) {
    if (name == name_of(metric)) return metric;
  }
  throw InvalidArgument(option + " must be \"elbo\" or \"reconstruction_error\", not \"" + name + "\"");
}

TrainResult train(Vae model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                  const TrainOptions& options, const RandomStream& random, Monitor& monitor) {
  check_watched_set(options);
  if (options.batch_size < smallest_minibatch) {
    throw InvalidArgument("batch_size must be at least " + std::to_string(smallest_minibatch) + ", not " +
                          std::to_string(options.batch_size));
  }
  if (static_cast<std::int64_t>(train_cells.size()) < smallest_minibatch) {
    throw InvalidArgument("the training set has " + std::to_string(train_cells.size()) + " cells; at least " +
                          std::to_string(smallest_minibatch) + " are needed");
  }
  Run run(std::move(model), std::move(dataset), train_cells, options, random, monitor);
  return run();
}

std::vector<double> fit_minibatches(Vae model, const std::vector<Minibatch>& minibatches,
                                    const std::vector<Noise>& noise, double kl_weight,
                                    const OptimiserOptions& optimiser_options, RandomStream& random) {
  Optimiser optimiser(model, optimiser_options);
  model->train();
  std::vector<double> losses;
  for (std::size_t k = 0; k < minibatches.size(); ++k) {
    const at::Tensor loss = mean_loss(model, minibatches[k], noise[k], kl_weight, random);
    losses.push_back(loss.item<double>());
    optimiser.step(loss);
  }
  model->eval();
  if (!is_finite(*model)) throw Diverged("the weights are no longer finite; use a lower learning rate");
  return losses;
}

}  // namespace rscvi
