#include "core/api/differential.h"

#include "core/api/posterior_handle.h"
#include "core/posterior/population.h"

namespace rscvi::api {

struct Population::Handle {
  Vae model{nullptr};
  rscvi::Population population;
};

Population::Population(const Posterior& posterior, std::int64_t n_samples, const std::vector<std::int64_t>& batches,
                       std::uint64_t seed)
    : handle_(std::make_shared<Handle>()) {
  translate_errors([&] {
    RandomStream random(seed);
    const rscvi::Posterior core = to_core(posterior);
    handle_->model = core.model;
    handle_->population = sample_population(core, {n_samples, batches}, random);
  });
}

Population::Population(const std::vector<const Population*>& parts, const std::vector<double>& weights, std::int64_t n,
                       std::uint64_t seed)
    : handle_(std::make_shared<Handle>()) {
  translate_errors([&] {
    RandomStream random(seed);
    std::vector<const rscvi::Population*> populations;
    for (const Population* part : parts) populations.push_back(&part->handle_->population);
    handle_->model = parts.front()->handle_->model;
    handle_->population = mix_populations(populations, weights, n, random);
  });
}

std::int64_t Population::n_samples() const { return handle_->population.n_samples(); }

const std::vector<std::int64_t>& Population::batch() const { return handle_->population.batch; }

void Population::scale(std::int64_t first, std::int64_t n, double* out) const {
  translate_errors([&] {
    // (S, n) row-major to column-major doubles: the transpose, converted.
    const at::Tensor block = population_scale(handle_->model, handle_->population, first, n);
    at::from_blob(out, {n, block.size(0)}, at::kDouble).copy_(block.t());
  });
}

Pairs make_pairs(const std::vector<Stratum>& strata, std::optional<std::int64_t> n_pairs, std::uint64_t seed) {
  return translate_errors([&] {
    if (!n_pairs) return elementwise_pairs(strata);
    RandomStream random(seed);
    return random_pairs(strata, *n_pairs, random);
  });
}

}  // namespace rscvi::api
