#include "core/api/differential.h"

#include <algorithm>
#include <functional>

#include "core/api/posterior_handle.h"
#include "core/posterior/paired_scales.h"
#include "core/posterior/population.h"

namespace rscvi::api {
namespace {

// Genes decoded and tested at a time: 64 x 5,000 samples are 1.3 MB.
constexpr std::int64_t genes_at_once = 64;

DecodedScales as_scales(const at::Tensor& by_gene) {
  return {by_gene.data_ptr<float>(), by_gene.size(1), by_gene.size(0)};
}

void append_means(const at::Tensor& by_gene, std::vector<double>& means) {
  const at::Tensor mean = by_gene.mean(1, /*keepdim=*/false, at::kDouble);
  means.insert(means.end(), mean.data_ptr<double>(), mean.data_ptr<double>() + mean.numel());
}

}  // namespace

struct Population::Handle {
  Vae model{nullptr};
  rscvi::Population population;
  std::function<void()> poll;
};

Population::Population(const Posterior& posterior, std::int64_t n_samples, const std::vector<std::int64_t>& batches,
                       std::uint64_t seed)
    : handle_(std::make_shared<Handle>()) {
  translate_errors([&] {
    RandomStream random(seed);
    const rscvi::Posterior core = to_core(posterior);
    handle_->model = core.model;
    handle_->poll = core.poll;
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
    handle_->poll = parts.front()->handle_->poll;
    handle_->population = mix_populations(populations, weights, n, random);
  });
}

std::int64_t Population::n_samples() const { return handle_->population.n_samples(); }

const std::vector<std::int64_t>& Population::batch() const { return handle_->population.batch; }

void Population::prepare_for_blocks() const {
  translate_errors([&] { fill_normaliser(handle_->model, handle_->population); });
}

void Population::scale(std::int64_t first, std::int64_t n, double* out) const {
  prepare_for_blocks();
  translate_errors([&] {
    // (S, n) row-major to column-major doubles: the transpose, converted.
    const at::Tensor block = population_scale(handle_->model, handle_->population, first, n);
    at::from_blob(out, {n, block.size(0)}, at::kDouble).copy_(block.t());
  });
}

PopulationContrast::PopulationContrast(const Population& population1, const Population& population2,
                                       const ContrastPlan& plan) {
  if (plan.elementwise && !plan.options.change && !plan.exact) {
    translate_errors([&] { decode_once(*population1.handle_, *population2.handle_, plan.pairs); });
    return;
  }
  population1.prepare_for_blocks();
  population2.prepare_for_blocks();
  translate_errors([&] {
    const std::int64_t n_genes = population1.handle_->model->options().n_input;
    for (std::int64_t first = 0; first < n_genes; first += genes_at_once) {
      if (population1.handle_->poll) population1.handle_->poll();
      add_genes(*population1.handle_, *population2.handle_, first, std::min(genes_at_once, n_genes - first), plan);
    }
  });
}

void PopulationContrast::decode_once(const Population::Handle& population1, const Population::Handle& population2,
                                     const Pairs& pairs) {
  PairedScales found = compare_paired(population1.model, population1.population, population2.population, pairs.first,
                                      pairs.second, population1.poll);
  genes.resize(found.above.size());
  for (std::size_t g = 0; g < genes.size(); ++g) genes[g].above = found.above[g];
  scale1 = std::move(found.mean1);
  scale2 = std::move(found.mean2);
}

void PopulationContrast::add_genes(Population::Handle& population1, Population::Handle& population2,
                                   std::int64_t first, std::int64_t n, const ContrastPlan& plan) {
  const at::Tensor block1 = population_scale_by_gene(population1.model, population1.population, first, n);
  const at::Tensor block2 = population_scale_by_gene(population2.model, population2.population, first, n);
  append_means(block1, scale1);
  append_means(block2, scale2);
  const std::vector<GeneContrast> found =
      plan.exact ? contrast_strata(as_scales(block1), as_scales(block2), plan.strata, plan.pairs, plan.options)
                 : contrast_pairs(as_scales(block1), as_scales(block2), plan.pairs, plan.options);
  genes.insert(genes.end(), found.begin(), found.end());
}

Pairs make_pairs(const std::vector<Stratum>& strata, std::optional<std::int64_t> n_pairs, std::uint64_t seed) {
  return translate_errors([&] {
    if (!n_pairs) return elementwise_pairs(strata);
    RandomStream random(seed);
    return random_pairs(strata, *n_pairs, random);
  });
}

}  // namespace rscvi::api
