#include "core/posterior/expression.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

enum class Expression { scale, rate };

void sample_expression(const Posterior& posterior, Expression what, const ExpressionOptions& options,
                       const Noise& noise, RandomStream& random, const BlockSink& sink) {
  Vae model = posterior.model;
  const at::Tensor genes = genes_on(options.genes, model->device());
  const auto visit = [&](const Minibatch& minibatch, const LatentDraw& draw, const BlockPlace& place) {
    LatentDraw of_shares = draw;
    of_shares.library = at::Tensor();
    const auto decoded_as = [&](std::optional<std::int64_t> batch) {
      const at::Tensor scale =
          model->decode(of_shares, as_batch(minibatch, batch), /*want_dropout=*/false, random).px_scale;
      const at::Tensor picked = pick_genes(scale, genes);
      return what == Expression::scale ? picked : picked.mul_(at::exp(draw.library));  // rather than another block
    };
    if (options.transform_batch.empty()) return sink(place, decoded_as(std::nullopt));
    at::Tensor sum;
    for (const std::int64_t batch : options.transform_batch) {
      const at::Tensor one = decoded_as(batch);
      sum = sum.defined() ? sum.add_(one) : one;
    }
    sink(place, sum / static_cast<double>(options.transform_batch.size()));
  };
  for_each_draw(in_wide_minibatches(posterior), options.n_samples, /*want_library=*/what == Expression::rate, noise,
                random, visit);
}

}  // namespace

void sample_scale(const Posterior& posterior, const SampleScaleOptions& options, const Noise& noise,
                  RandomStream& random, const BlockSink& sink) {
  const BlockSink scaled = [&](const BlockPlace& place, const at::Tensor& block) {
    sink(place, options.library_size == 1 ? block : block * options.library_size);
  };
  sample_expression(posterior, Expression::scale, options, noise, random, scaled);
}

void sample_rate(const Posterior& posterior, const ExpressionOptions& options, const Noise& noise,
                 RandomStream& random, const BlockSink& sink) {
  sample_expression(posterior, Expression::rate, options, noise, random, sink);
}

}  // namespace rscvi
