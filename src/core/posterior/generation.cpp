#include "core/posterior/generation.h"

#include <ATen/ATen.h>

#include "core/distributions/draws.h"

namespace rscvi {
namespace {

CountParameters of_genes(const CountParameters& parameters, const at::Tensor& genes) {
  return {pick_genes(parameters.px_scale, genes), pick_genes(parameters.px_rate, genes),
          pick_genes(parameters.px_r, genes), pick_genes(parameters.px_dropout, genes)};
}

BlockSink averaged(bool mean, std::int64_t n_samples, const BlockSink& sink) {
  return mean && sink ? BlockSink(MeanOverDraws(n_samples, sink)) : sink;
}

}  // namespace

void generate_counts(const Posterior& posterior, const GenerationOptions& options, const Noise& noise,
                     RandomStream& random, const BlockSink& sink) {
  Vae model = posterior.model;
  const at::Tensor genes = genes_on(options.genes, model->device());
  const bool want_dropout = model->options().reconstruction_loss == ReconstructionLoss::zinb;
  const auto visit = [&](const Minibatch& minibatch, const LatentDraw& draw, const BlockPlace& place) {
    const Conditions conditions = as_batch(minibatch, options.transform_batch);
    const CountParameters parameters = model->decode(draw, conditions, want_dropout, random);
    sink(place, model->draw_counts(of_genes(parameters, genes), random));
  };
  for_each_draw(posterior, options.n_samples, /*want_library=*/true, noise, random, visit);
}

void denoised_samples(const Posterior& posterior, const GenerationOptions& options, double size_factor,
                      const Noise& noise, RandomStream& random, const BlockSink& sink) {
  Vae model = posterior.model;
  const at::Tensor genes = genes_on(options.genes, model->device());
  const bool has_dispersion = model->options().reconstruction_loss != ReconstructionLoss::poisson;
  const auto visit = [&](const Minibatch& minibatch, const LatentDraw& draw, const BlockPlace& place) {
    const Conditions conditions = as_batch(minibatch, options.transform_batch);
    const CountParameters parameters =
        of_genes(model->decode(draw, conditions, /*want_dropout=*/false, random), genes);
    const at::Tensor mean = parameters.px_scale * size_factor;
    sink(place, has_dispersion ? draw_rates(mean, parameters.px_r, random) : mean);
  };
  for_each_draw(posterior, options.n_samples, /*want_library=*/false, noise, random, visit);
}

void count_parameters(const Posterior& posterior, std::int64_t n_samples, bool mean, const Noise& noise,
                      RandomStream& random, const ParameterSinks& sinks) {
  Vae model = posterior.model;
  const bool dispersion_by_draw = model->options().dispersion == Dispersion::gene_cell;
  const BlockSink dropout = averaged(mean, n_samples, sinks.dropout);
  const BlockSink rate = averaged(mean, n_samples, sinks.mean);
  const BlockSink dispersion = averaged(mean && dispersion_by_draw, n_samples, sinks.dispersion);
  const auto visit = [&](const Minibatch& minibatch, const LatentDraw& draw, const BlockPlace& place) {
    const CountParameters parameters = model->decode(draw, minibatch,
                                                     /*want_dropout=*/static_cast<bool>(dropout), random);
    if (dropout) dropout(place, parameters.px_dropout);
    if (rate) rate(place, parameters.px_rate);
    if (!dispersion) return;
    if (dispersion_by_draw) {
      dispersion(place, parameters.px_r);
    } else if (place.sample == 0) {
      dispersion(place, parameters.px_r.expand_as(parameters.px_rate[0]).unsqueeze(0));
    }
  };
  for_each_draw(posterior, n_samples, /*want_library=*/true, noise, random, visit);
}

}  // namespace rscvi
