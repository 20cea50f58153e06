#include "core/posterior/latent.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

// Draws of the logistic normal that are in memory at the same time, for one minibatch.
constexpr std::int64_t draws_at_once = 100;

at::Tensor mean_of_softmax(const VaeImpl& model, const GaussianParameters& qz, std::int64_t n_samples,
                           const Noise& noise, RandomStream& random) {
  if (noise.z.defined()) return model.draw_z(qz, noise.z.size(0), noise.z, random).z.mean(0);
  at::Tensor sum = at::zeros_like(qz.mean);
  for (std::int64_t done = 0; done < n_samples; done += draws_at_once) {
    sum += model.draw_z(qz, std::min(draws_at_once, n_samples - done), noise.z, random).z.sum(0);
  }
  return sum / static_cast<double>(n_samples);
}

}  // namespace

at::Tensor latent(const Posterior& posterior, bool give_mean, std::int64_t n_samples, const Noise& noise,
                  RandomStream& random) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  const bool is_normal = model->options().latent_distribution == LatentDistribution::normal;
  at::Tensor out = at::empty({posterior.n_cells(), model->options().n_latent}, at::kFloat);
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t start) {
    const GaussianParameters qz = model->encode_z(minibatch.x, minibatch, random);
    const Noise part = slice(noise, start, minibatch.size());
    at::Tensor z;
    if (!give_mean) {
      z = model->draw_z(qz, std::nullopt, part.z, random).z;
    } else if (is_normal) {
      z = qz.mean;
    } else {
      z = mean_of_softmax(*model, qz, n_samples, part, random);
    }
    out.narrow(0, start, minibatch.size()).copy_(z);
  });
  return out;
}

at::Tensor library_draws(const Posterior& posterior, const Noise& noise, RandomStream& random) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  at::Tensor out = at::empty({posterior.n_cells()}, at::kFloat);
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t start) {
    const EncodedCells encoded = model->encode(minibatch.x, minibatch, random);
    const LatentDraw drawn =
        model->draw(encoded, std::nullopt, slice(noise, start, minibatch.size()), random);
    out.narrow(0, start, minibatch.size()).copy_(drawn.library.squeeze(1));
  });
  return out;
}

}  // namespace rscvi
