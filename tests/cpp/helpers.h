// What several tests share: comparisons, a small data set, a small model.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/monitor.h"
#include "core/data/minibatch.h"
#include "core/model/state.h"
#include "core/model/vae.h"
#include "core/posterior/posterior.h"
#include "core/training/train_options.h"
#include "test.h"

namespace rscvi::test {

using Cells = std::vector<std::int64_t>;

// Largest absolute difference; infinite where shapes differ or a NaN is met.
double max_difference(const at::Tensor& a, const at::Tensor& b);
// Largest |a - b| / (1 + |b|).
double max_relative_difference(const at::Tensor& a, const at::Tensor& b);
bool same_bits(const at::Tensor& a, const at::Tensor& b);
bool same_bits(const State& a, const State& b);  // names and order included

std::vector<double> values_of(const at::Tensor& tensor);
at::Tensor matrix(std::int64_t n_rows, const std::vector<float>& values);  // row by row
const at::Tensor& find(const State& state, const std::string& name);
std::vector<std::string> names_of(const State& state);

// What a layer or block of this name computes in evaluation mode, written out; `one_hot` may be undefined.
at::Tensor linear_by_hand(const State& state, const std::string& name, const at::Tensor& x);
at::Tensor block_by_hand(const State& state, const std::string& name, at::Tensor x, const at::Tensor& one_hot);
at::Tensor one_hot_columns(const at::Tensor& codes, std::int64_t n_categories);
// Probabilities, (B, K), of the classifier of this name in evaluation mode.
at::Tensor classifier_by_hand(const State& state, const std::string& name, const at::Tensor& features);

// A genes x cells column-compressed matrix that owns its arrays.
struct OwnedCounts {
  std::vector<std::int32_t> p, i;
  std::vector<double> x;
  std::int64_t n_genes = 0, n_cells = 0;
};
std::shared_ptr<OwnedCounts> compress(const at::Tensor& dense);  // (cells, genes)
std::shared_ptr<const CellSource> source_of(const std::shared_ptr<OwnedCounts>& counts);

// Cells of three kinds (their labels), each with four of the twelve genes on, in `n_batch` batches.
struct Toy {
  std::shared_ptr<OwnedCounts> counts;
  at::Tensor x;  // (cells, genes), the same counts
  std::shared_ptr<Dataset> dataset;
};
constexpr std::int64_t toy_genes = 12;
constexpr std::int64_t toy_labels = 3;
Toy toy_data(std::int64_t n_cells = 60, std::int64_t n_batch = 2);
Toy toy_data_with_covariates();  // one of 4 categories and a continuous one

Cells cells_from(std::int64_t first, std::int64_t end);  // first .. end - 1
Minibatch minibatch_of(const Dataset& dataset, const Cells& cells);

VaeOptions toy_options(std::int64_t n_batch = 2);
VaeOptions toy_options_of(ModelType type, std::int64_t n_batch = 2);  // the same for another type, its classifier small
Vae toy_model(const VaeOptions& options, std::uint64_t seed = 1);
// Moves every tensor of a module away from where it starts; fresh batch normalisation would be all but the identity.
void scramble(const torch::nn::Module& module, std::uint64_t seed = 9);
Vae scrambled_model(const VaeOptions& options, std::uint64_t seed = 1);
Posterior posterior_of(const Vae& model, const Toy& toy, std::int64_t batch_size = 128);

// Says nothing, remembers what it was told, and stops the work when asked the `stop_at`-th time (from 1; 0: never).
class QuietMonitor final : public Monitor {
 public:
  explicit QuietMonitor(std::int64_t stop_at = 0) : stop_at_(stop_at) {}
  void on_epoch(const EpochReport& report) override;
  bool should_stop() override;

  std::int64_t n_asked = 0;
  std::vector<EpochReport> reports;
  std::function<void(std::int64_t epoch)> after_epoch;
  std::function<void(std::int64_t n_asked)> before_minibatch;

 private:
  std::int64_t stop_at_;
};

// A quick training of a fresh toy model (its start from `seed` too) on `cells`, by default all.
struct Trained {
  Vae model;
  TrainResult result;
  State state() const { return copy_state(*model); }
};
TrainOptions quick_training(std::int64_t n_epochs);  // minibatches of 20 cells, learning rate 0.01, no warm-up
// The same training on the CPU as it is done on a GPU: counts kept as tensors, losses looked at when an epoch is over,
// Adam by operators.
TrainOptions as_on_gpu(TrainOptions options, bool step_graph = false);
Trained train_toy(const Toy& toy, const TrainOptions& options, std::uint64_t seed = 1, const Cells& cells = {},
                  QuietMonitor* monitor = nullptr);

}  // namespace rscvi::test
