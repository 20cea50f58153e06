#include "core/posterior/likelihood.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "core/distributions/normal.h"

namespace rscvi {
namespace {

// A sum over cells, in double, that stays on their device until it is read: reading waits for the device.
class CellSum {
 public:
  void add(const at::Tensor& per_cell) {
    const at::Tensor sum = per_cell.sum(at::kDouble);
    total_ = total_.defined() ? total_.add_(sum) : sum;
  }
  double mean(std::int64_t n_cells) const {
    return (total_.defined() ? total_.item<double>() : 0) / static_cast<double>(n_cells);
  }

 private:
  at::Tensor total_;
};

// Draws that are decoded at a time: enough to be worth the calls, few enough for the cache. On the CPU they are of few
// cells, so that what is the same for all draws of a cell is done for many of them.
constexpr std::int64_t rows_at_once = 256, cells_at_once = 16;

// The importance weights of n draws of every cell of a minibatch, (n, B).
at::Tensor log_weights(VaeImpl& model, const Minibatch& minibatch, const EncodedCells& encoded, std::int64_t n,
                       const Noise& noise, RandomStream& random) {
  const LatentDraw drawn = model.draw(encoded, n, noise, random);
  const at::Tensor standard_v = at::ones_like(drawn.gaussian), standard_m = at::zeros_like(drawn.gaussian);
  const at::Tensor of_z = model.log_likelihood(minibatch.x, drawn, minibatch, random) +
                          log_normal(drawn.gaussian, standard_m, standard_v) -
                          log_normal(drawn.gaussian, encoded.qz_m, encoded.qz_v);
  if (model.options().library == Library::observed) return of_z;
  return of_z + log_normal(drawn.library, minibatch.local_l_mean, minibatch.local_l_var) -
         log_normal(drawn.library, encoded.ql_m, encoded.ql_v);
}

std::int64_t divided_up(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

Noise pick_draws(const Noise& noise, std::int64_t first, std::int64_t n) {
  const auto some = [&](const at::Tensor& all) { return all.defined() ? all.narrow(0, first, n) : all; };
  return {some(noise.z), some(noise.library), at::Tensor()};
}

}  // namespace

MeanLossTerms mean_loss_terms(const Posterior& posterior, const Noise& noise, RandomStream& random) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  CellSum reconst_loss, kl_z, kl_l, kl_z1;
  for_each_minibatch(in_wide_minibatches(posterior), [&](const Minibatch& minibatch, std::int64_t start) {
    const LossTerms terms = model->loss_terms(minibatch, slice(noise, start, minibatch.size()), random);
    reconst_loss.add(terms.reconst_loss);
    kl_z.add(terms.kl_z);
    kl_l.add(terms.kl_l);
    if (terms.kl_z1.defined()) kl_z1.add(terms.kl_z1);
  });
  const std::int64_t n = posterior.n_cells();
  return {reconst_loss.mean(n), kl_z.mean(n), kl_l.mean(n), kl_z1.mean(n)};
}

double negative_marginal_ll(const Posterior& posterior, std::int64_t n_samples, const Noise& noise,
                            RandomStream& random) {
  if (n_samples < 1) throw InvalidArgument("n_samples must be at least 1, not " + std::to_string(n_samples));
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  Posterior few_cells = posterior;
  if (model->device().is_cpu()) {
    few_cells.batch_size = std::min(posterior.batch_size, std::max(cells_at_once, rows_at_once / n_samples));
  }
  CellSum total;
  for_each_minibatch(few_cells, [&](const Minibatch& minibatch, std::int64_t start) {
    const EncodedCells encoded = model->encode(minibatch.x, minibatch, random);
    const Noise part = slice(noise, start, minibatch.size());
    // As many draws each time, or nearly so: a few left over would cost as much as all.
    const std::int64_t most = std::max<std::int64_t>(1, rows_at_once / minibatch.size());
    const std::int64_t n_times = divided_up(n_samples, most), at_once = divided_up(n_samples, n_times);
    std::vector<at::Tensor> weights;  // (S, B) in all: small beside one decoded minibatch
    for (std::int64_t s = 0; s < n_samples; s += at_once) {
      const std::int64_t n = std::min(at_once, n_samples - s);
      weights.push_back(log_weights(*model, minibatch, encoded, n, pick_draws(part, s, n), random));
    }
    const at::Tensor log_sum = at::logsumexp(at::cat(weights).to(at::kDouble), 0);
    total.add(log_sum - std::log(static_cast<double>(n_samples)));
  });
  return -total.mean(posterior.n_cells());
}

}  // namespace rscvi
