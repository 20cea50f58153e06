// Models, as the glue sees them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/api/array.h"
#include "core/data/dataset.h"
#include "core/model/columns.h"
#include "core/model/vae_options.h"
#include "core/training/train_options.h"

namespace rscvi::api {

// Cells handed in by value rather than taken from a data set. B cells, G genes; codes are 0-based and may be empty
// where the model has no use for them.
struct Cells {
  Array x;                         // (B, G)
  Array local_l_mean, local_l_var;  // (B, 1) or (B); for losses alone
  std::vector<std::int64_t> batch_index, label;
  std::vector<std::vector<std::int64_t>> categorical;  // codes of each further covariate, (B) each
  std::vector<std::vector<double>> continuous;         // values of each further covariate, (B) each
};

// Standard normal draws in place of random ones; absent: draw.
struct NoiseArrays {
  Array z, library, z2;  // z2: of SCANVI's loss
};

class Model {
 public:
  // A fresh model on the CPU, whose start depends on `seed` alone.
  Model(const VaeOptions& options, std::uint64_t seed);

  // A classifier alone, of so many features; for state(), load_state() and api/classifier.h.
  Model(const ClassifierOptions& options, std::int64_t n_input, std::int64_t n_labels, std::uint64_t seed);

  const VaeOptions& options() const;

  // Every parameter and buffer, by the names of scvi 0.6.8, in torch's index order (a weight is out x in).
  NamedArrays state() const;
  void load_state(const NamedArrays& state);

  // See core/model/start.h.
  void start_from_data(const Dataset& dataset);

  // See core/model/more_batches.h. The new model is on this one's device.
  Model with_more_batches(std::int64_t n_new) const;
  std::vector<Columns> columns_of_batches(std::int64_t first, std::int64_t n) const;

  // px_scale, px_rate, px_r, px_dropout, z, qz_m, qz_v, library, ql_m, ql_v, in evaluation mode. n_samples = 1: (B, .),
  // more: (S, B, .). transform_batch: decode every cell as that batch.
  NamedArrays inference(const Cells& cells, std::int64_t n_samples, std::optional<std::int64_t> transform_batch,
                        const NoiseArrays& noise, std::uint64_t seed);

  // reconst_loss, kl_z, kl_l, and kl_z1 for SCANVI: (B) each, in evaluation mode, with labels taken as known.
  NamedArrays loss_terms(const Cells& cells, const NoiseArrays& noise, std::uint64_t seed);
  // The same and kl_y, without a look at the labels; for models with a classifier.
  NamedArrays unlabelled_loss_terms(const Cells& cells, const NoiseArrays& noise, std::uint64_t seed);
  // z1, a draw, and z2, the mean given that draw and the labels, (B, L) each; for SCANVI, in evaluation mode.
  NamedArrays latents(const Cells& cells, const NoiseArrays& noise, std::uint64_t seed);
  // Probability of each label, (B, K), in evaluation mode.
  Array classify(const Cells& cells);

  // See core/training/trainer.h.
  std::vector<double> fit_minibatches(const std::vector<Cells>& minibatches, const std::vector<NoiseArrays>& noise,
                                      double kl_weight, const ClassificationOptions& classification,
                                      const OptimiserOptions& optimiser, std::uint64_t seed);

  // For the other files of this folder; defined in model_handle.h.
  struct Handle;
  const Handle& handle() const { return *handle_; }

 private:
  explicit Model(std::shared_ptr<Handle> handle);

  std::shared_ptr<Handle> handle_;
};

// Log-probability of each count, in double. distribution: "zinb", "nb" or "poisson". All vectors have x's length;
// theta and pi may be empty where the distribution has no such parameter.
std::vector<double> log_probability(const std::string& distribution, const std::vector<double>& x,
                                    const std::vector<double>& mu, const std::vector<double>& theta,
                                    const std::vector<double>& pi);

}  // namespace rscvi::api
