#include "core/posterior/population.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "core/distributions/fused_likelihood.h"
#include "core/posterior/transpose.h"

namespace rscvi {
namespace {

// Rows decoded at a time: small enough for the cache, large enough for a fast matrix product.
constexpr std::int64_t rows_at_once = 256;

// Distinct cells of the draws, and for each draw the row of its cell among them.
struct DistinctCells {
  std::vector<std::int64_t> cells, row_of_draw;
};

DistinctCells distinct(const std::vector<std::int64_t>& draws) {
  DistinctCells out;
  std::map<std::int64_t, std::int64_t> row;
  for (const std::int64_t cell : draws) {
    const auto inserted = row.emplace(cell, static_cast<std::int64_t>(out.cells.size()));
    if (inserted.second) out.cells.push_back(cell);
    out.row_of_draw.push_back(inserted.first->second);
  }
  return out;
}

// q(z | x) of the posterior's cells, (n, L), and what they are conditioned on, with labels that the model had to guess.
struct EncodedPosterior {
  GaussianParameters qz;
  Conditions conditions;
};

EncodedPosterior encode_cells(const Posterior& posterior, RandomStream& random) {
  Vae model = posterior.model;
  std::vector<at::Tensor> means, variances;
  std::vector<Conditions> conditions;
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t) {
    const GaussianParameters z = model->encode_z(minibatch.x, minibatch, random);
    means.push_back(z.mean);
    variances.push_back(z.variance);
    conditions.push_back(minibatch);
  });
  return {{at::cat(means), at::cat(variances)}, concatenated(conditions)};
}

at::Tensor log_normaliser(Vae& model, const at::Tensor& hidden) {
  std::vector<at::Tensor> parts;
  for (std::int64_t start = 0; start < hidden.size(0); start += rows_at_once) {
    const at::Tensor rows = hidden.narrow(0, start, std::min(rows_at_once, hidden.size(0) - start));
    parts.push_back(log_sum_exp(model->scale_logits(rows, 0, model->options().n_input)));
  }
  return at::cat(parts);
}

at::Tensor to_tensor(const std::vector<std::int64_t>& values, c10::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

}  // namespace

std::int64_t samples_per_batch(std::int64_t n, std::int64_t n_batches) {
  const std::int64_t each = n / n_batches;
  return each == 0 ? 2 : each;
}

Population sample_population(const Posterior& posterior, const PopulationOptions& options, RandomStream& random) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  const c10::Device device = model->device();
  const bool observed = options.batches.empty();
  const std::int64_t n_batches = observed ? 1 : static_cast<std::int64_t>(options.batches.size());
  const std::int64_t per_batch = observed ? options.n_samples : samples_per_batch(options.n_samples, n_batches);

  std::vector<std::int64_t> draws;
  for (const std::int64_t k : random.integers(per_batch * n_batches, posterior.n_cells())) {
    draws.push_back(posterior.cells[k]);
  }
  const DistinctCells needed = distinct(draws);
  Posterior cells = posterior;
  cells.cells = needed.cells;
  const EncodedPosterior encoded = encode_cells(cells, random);
  const at::Tensor rows = to_tensor(needed.row_of_draw, device);

  const GaussianParameters of_draws = {encoded.qz.mean.index_select(0, rows),
                                       encoded.qz.variance.index_select(0, rows)};
  const at::Tensor z = model->draw_z(of_draws, std::nullopt, at::Tensor(), random).z;

  Population population;
  std::vector<std::int64_t> decoded_as;
  for (std::size_t k = 0; k < draws.size(); ++k) {
    decoded_as.push_back(observed ? posterior.dataset->batch[draws[k]]
                                  : options.batches[static_cast<std::int64_t>(k) / per_batch]);
  }
  if (!observed) population.batch = decoded_as;
  Conditions conditions = select_cells(encoded.conditions, rows);
  conditions.batch_index = to_tensor(decoded_as, device);
  population.hidden = model->decode_hidden(z, conditions, random);
  return population;
}

void fill_normaliser(Vae model, Population& population) {
  if (population.log_normaliser.defined()) return;
  const EvaluationScope evaluation(model);
  population.log_normaliser = log_normaliser(model, population.hidden);
}

at::Tensor population_scale(Vae model, const Population& population, std::int64_t first, std::int64_t n) {
  Population complete = population;
  fill_normaliser(model, complete);
  const EvaluationScope evaluation(model);
  return shares_in_place(model->scale_logits(population.hidden, first, n), complete.log_normaliser).cpu();
}

at::Tensor population_scale_by_gene(Vae model, const Population& population, std::int64_t first, std::int64_t n) {
  Population complete = population;
  fill_normaliser(model, complete);
  const EvaluationScope evaluation(model);
  const std::int64_t n_samples = population.n_samples();
  at::Tensor scale = at::empty({n, n_samples}, at::kFloat);
  for (std::int64_t start = 0; start < n_samples; start += rows_at_once) {
    const std::int64_t size = std::min(rows_at_once, n_samples - start);
    const at::Tensor logits = model->scale_logits(population.hidden.narrow(0, start, size), first, n);
    const at::Tensor block =
        shares_in_place(logits, complete.log_normaliser.narrow(0, start, size)).cpu().contiguous();
    transpose_into(block.data_ptr<float>(), size, n, scale.data_ptr<float>() + start, n_samples);
  }
  return scale;
}

namespace {

// How often each of the populations is drawn, n times in all.
std::vector<std::int64_t> multinomial(std::int64_t n, const std::vector<double>& weights, RandomStream& random) {
  std::vector<double> cumulative(weights.size());
  std::partial_sum(weights.begin(), weights.end(), cumulative.begin());
  std::vector<std::int64_t> counts(weights.size(), 0);
  const at::Tensor uniform = random.uniform({n}, 0.5);
  for (std::int64_t k = 0; k < n; ++k) {
    const double at = (uniform.data_ptr<float>()[k] + 0.5) * cumulative.back();
    const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
    ++counts[std::min<std::size_t>(found, weights.size() - 1)];
  }
  return counts;
}

// n of the rows, without replacement while there are enough.
std::vector<std::int64_t> choose(const std::vector<std::int64_t>& rows, std::int64_t n, RandomStream& random) {
  std::vector<std::int64_t> chosen;
  while (static_cast<std::int64_t>(chosen.size()) < n) {
    for (const std::int64_t k : random.permutation(static_cast<std::int64_t>(rows.size()))) {
      if (static_cast<std::int64_t>(chosen.size()) == n) break;
      chosen.push_back(rows[k]);
    }
  }
  return chosen;
}

std::vector<std::int64_t> rows_of_batch(const Population& population, std::int64_t batch) {
  std::vector<std::int64_t> rows;
  for (std::int64_t k = 0; k < population.n_samples(); ++k) {
    if (population.batch.empty() || population.batch[k] == batch) rows.push_back(k);
  }
  return rows;
}

}  // namespace

Population mix_populations(const std::vector<const Population*>& populations, const std::vector<double>& weights,
                           std::int64_t n, RandomStream& random) {
  std::set<std::int64_t> batches(populations.front()->batch.begin(), populations.front()->batch.end());
  const bool observed = batches.empty();
  if (observed) batches.insert(-1);
  const std::int64_t per_batch = observed ? n : samples_per_batch(n, static_cast<std::int64_t>(batches.size()));
  const bool with_normaliser = std::all_of(populations.begin(), populations.end(), [](const Population* population) {
    return population->log_normaliser.defined();
  });
  std::vector<at::Tensor> hidden, normaliser;
  Population mixed;
  for (const std::int64_t batch : batches) {
    const std::vector<std::int64_t> counts = multinomial(per_batch, weights, random);
    for (std::size_t k = 0; k < populations.size(); ++k) {
      const std::vector<std::int64_t> chosen = choose(rows_of_batch(*populations[k], batch), counts[k], random);
      if (chosen.empty()) continue;
      const at::Tensor rows = to_tensor(chosen, populations[k]->hidden.device());
      hidden.push_back(populations[k]->hidden.index_select(0, rows));
      if (with_normaliser) normaliser.push_back(populations[k]->log_normaliser.index_select(0, rows));
      if (!observed) mixed.batch.insert(mixed.batch.end(), chosen.size(), batch);
    }
  }
  mixed.hidden = at::cat(hidden);
  if (with_normaliser) mixed.log_normaliser = at::cat(normaliser);
  return mixed;
}

}  // namespace rscvi
