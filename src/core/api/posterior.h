// Posteriors, as the glue sees them: free functions over (model, data set, cells).
#pragma once

#include <functional>
#include <vector>

#include "core/api/dataset.h"
#include "core/api/model.h"

namespace rscvi::api {

struct Posterior {
  Model model;
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::int64_t> cells;  // 0-based
  std::int64_t batch_size = 128;
  bool corrupted = false;
  std::optional<bool> use_cuda;
  std::function<void()> poll;  // called now and then, if there is one; what it throws ends the work
};

// See the headers of core/posterior for what each computes; `seed` feeds the draws that `noise` does not give.
Array latent(const Posterior& posterior, bool give_mean, std::int64_t n_samples, const NoiseArrays& noise,
             std::uint64_t seed);
Array library_draws(const Posterior& posterior, const NoiseArrays& noise, std::uint64_t seed);

// Probability of each label, (n, K); for models with a classifier.
Array label_probabilities(const Posterior& posterior);

struct MeanLosses {
  double reconst_loss, kl_z, kl_l, kl_z1;  // kl_z1: 0 but for SCANVI
};
MeanLosses mean_losses(const Posterior& posterior, const NoiseArrays& noise, std::uint64_t seed);
double negative_marginal_ll(const Posterior& posterior, std::int64_t n_samples, const NoiseArrays& noise,
                            std::uint64_t seed);

struct DrawRequest {
  std::int64_t n_samples = 1;
  std::vector<std::int64_t> transform_batch;  // 0-based; empty: each cell's own
  std::vector<std::int64_t> genes;            // 0-based, in the order wanted; empty: all
};
struct ScaleRequest : DrawRequest {
  double library_size = 1;
};
// The first element of each column of an array of `size` numbers a column; columns need not lie side by side, as those
// of R's data.frames do not.
template <class T>
std::vector<T*> columns(T* data, std::int64_t size, std::int64_t n_columns) {
  std::vector<T*> out(static_cast<std::size_t>(n_columns));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = data + static_cast<std::int64_t>(i) * size;
  return out;
}

// Fills a column for each gene: n cells with the mean over draws if `mean`, else S x n, draws first.
void sample_scale(const Posterior& posterior, const ScaleRequest& request, bool mean, const NoiseArrays& noise,
                  std::uint64_t seed, const std::vector<double*>& genes);

// Hands out the posterior's cells, minibatch by minibatch; `start` counts cells from 0.
void for_each_minibatch(const Posterior& posterior,
                        const std::function<void(const Cells& cells, std::int64_t start)>& visit);

}  // namespace rscvi::api
