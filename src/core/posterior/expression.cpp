#include "core/posterior/expression.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

// px_scale (S, B, G) with every cell decoded as `batch`, or as its own where that is nullopt.
at::Tensor decoded_scale(VaeImpl& model, const Minibatch& minibatch, const LatentDraw& drawn,
                         std::optional<std::int64_t> batch, RandomStream& random) {
  const at::Tensor as =
      batch ? at::full_like(minibatch.batch_index, *batch) : minibatch.batch_index;
  return model.decode(drawn, as, minibatch.label, /*want_dropout=*/false, random).px_scale;
}

}  // namespace

void sample_scale(const Posterior& posterior, const SampleScaleOptions& options, const Noise& noise,
                  RandomStream& random, const BlockSink& sink) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  const at::Tensor genes = at::tensor(options.genes, at::kLong).to(model->device());
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t start) {
    const EncodedCells encoded = model->encode(minibatch.x, random);
    const LatentDraw drawn = model->draw(encoded, options.n_samples,
                                                   slice(noise, start, minibatch.size()), random);
    at::Tensor scale;
    if (options.transform_batch.empty()) {
      scale = decoded_scale(*model, minibatch, drawn, std::nullopt, random);
    } else {
      for (const std::int64_t batch : options.transform_batch) {
        const at::Tensor one = decoded_scale(*model, minibatch, drawn, batch, random);
        scale = scale.defined() ? scale + one : one;
      }
      scale = scale / static_cast<double>(options.transform_batch.size());
    }
    if (!options.genes.empty()) scale = scale.index_select(-1, genes);
    sink(start, (scale * options.library_size).cpu().contiguous());
  });
}

}  // namespace rscvi
