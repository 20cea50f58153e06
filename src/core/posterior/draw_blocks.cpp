#include "core/posterior/draw_blocks.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

// Entries of one decoded tensor (samples x cells x genes): 16 MB each, of which a handful live at the same time.
constexpr std::int64_t entries_at_once = std::int64_t{1} << 22;

at::Tensor some_draws(const at::Tensor& draws, std::int64_t first, std::int64_t n) {
  return draws.defined() ? draws.narrow(0, first, n) : draws;
}

LatentDraw draw_all(VaeImpl& model, const Minibatch& minibatch, std::int64_t n_samples, bool want_library,
                    const Noise& noise, RandomStream& random) {
  if (want_library) return model.draw(model.encode(minibatch.x, minibatch, random), n_samples, noise, random);
  return model.draw_z(model.encode_z(minibatch.x, minibatch, random), n_samples, noise.z, random);
}

}  // namespace

void for_each_draw(const Posterior& posterior, std::int64_t n_samples, bool want_library, const Noise& noise,
                   RandomStream& random, const DrawVisitor& visit) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t start) {
    // Latent draws are small: all at once, so that they do not depend on how many are decoded at a time.
    const LatentDraw all =
        draw_all(*model, minibatch, n_samples, want_library, slice(noise, start, minibatch.size()), random);
    const std::int64_t entries = minibatch.size() * minibatch.x.n_genes();
    const std::int64_t at_once = std::max<std::int64_t>(1, entries_at_once / entries);
    for (std::int64_t sample = 0; sample < n_samples; sample += at_once) {
      if (sample > 0 && posterior.poll) posterior.poll();
      const std::int64_t n = std::min(at_once, n_samples - sample);
      const LatentDraw some = {some_draws(all.gaussian, sample, n), some_draws(all.z, sample, n),
                               some_draws(all.library, sample, n)};
      visit(minibatch, some, {start, sample});
    }
  });
}

at::Tensor pick_genes(const at::Tensor& tensor, const at::Tensor& genes) {
  return tensor.defined() && genes.defined() ? tensor.index_select(-1, genes) : tensor;
}

at::Tensor genes_on(const std::vector<std::int64_t>& genes, c10::Device device) {
  return genes.empty() ? at::Tensor() : at::tensor(genes, at::kLong).to(device);
}

void MeanOverDraws::operator()(const BlockPlace& place, const at::Tensor& block) {
  if (n_samples_ == 1) return sink_(place, block);
  const at::Tensor sum = block.sum(0, /*keepdim=*/true);
  sum_ = place.sample == 0 ? sum : sum_.add_(sum);
  if (place.sample + block.size(0) == n_samples_) sink_({place.cell, 0}, sum_.div_(static_cast<double>(n_samples_)));
}

}  // namespace rscvi
