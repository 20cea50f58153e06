#include "core/api/posterior.h"

#include "core/api/blocks.h"
#include "core/api/posterior_handle.h"
#include "core/posterior/annotation.h"
#include "core/posterior/expression.h"
#include "core/posterior/latent.h"
#include "core/posterior/likelihood.h"

namespace rscvi::api {
namespace {

std::vector<std::int64_t> to_codes(const at::Tensor& codes) {
  const at::Tensor flat = codes.cpu().contiguous();
  return std::vector<std::int64_t>(flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel());
}

}  // namespace

Array latent(const Posterior& posterior, bool give_mean, std::int64_t n_samples, const NoiseArrays& noise,
             std::uint64_t seed) {
  return translate_errors([&] {
    RandomStream random(seed);
    return to_array(rscvi::latent(to_core(posterior), give_mean, n_samples, to_noise(noise), random));
  });
}

Array library_draws(const Posterior& posterior, const NoiseArrays& noise, std::uint64_t seed) {
  return translate_errors([&] {
    RandomStream random(seed);
    return to_array(rscvi::library_draws(to_core(posterior), to_noise(noise), random));
  });
}

Array label_probabilities(const Posterior& posterior) {
  return translate_errors([&] { return to_array(rscvi::label_probabilities(to_core(posterior))); });
}

MeanLosses mean_losses(const Posterior& posterior, const NoiseArrays& noise, std::uint64_t seed) {
  return translate_errors([&] {
    RandomStream random(seed);
    const MeanLossTerms terms = mean_loss_terms(to_core(posterior), to_noise(noise), random);
    return MeanLosses{terms.reconst_loss, terms.kl_z, terms.kl_l, terms.kl_z1};
  });
}

double negative_marginal_ll(const Posterior& posterior, std::int64_t n_samples, const NoiseArrays& noise,
                            std::uint64_t seed) {
  return translate_errors([&] {
    RandomStream random(seed);
    return rscvi::negative_marginal_ll(to_core(posterior), n_samples, to_noise(noise), random);
  });
}

void sample_scale(const Posterior& posterior, const ScaleRequest& request, bool mean, const NoiseArrays& noise,
                  std::uint64_t seed, const std::vector<double*>& genes) {
  translate_errors([&] {
    RandomStream random(seed);
    const rscvi::Posterior core = to_core(posterior);
    SampleScaleOptions options;
    options.n_samples = request.n_samples;
    options.transform_batch = request.transform_batch;
    options.genes = request.genes;
    options.library_size = request.library_size;
    const BlockSink sink = ResultArray<double>::samples_first(genes, mean ? 1 : request.n_samples).sink();
    rscvi::sample_scale(core, options, to_noise(noise), random,
                        mean ? BlockSink(MeanOverDraws(request.n_samples, sink)) : sink);
  });
}

void for_each_minibatch(const Posterior& posterior,
                        const std::function<void(const Cells& cells, std::int64_t start)>& visit) {
  translate_errors([&] {
    const rscvi::Posterior core = to_core(posterior);
    rscvi::for_each_minibatch(core, [&](const Minibatch& minibatch, std::int64_t start) {
      Cells cells;
      cells.x = to_array(minibatch.x.dense());
      cells.local_l_mean = to_array(minibatch.local_l_mean.squeeze(1));
      cells.local_l_var = to_array(minibatch.local_l_var.squeeze(1));
      cells.batch_index = to_codes(minibatch.batch_index);
      cells.label = to_codes(minibatch.label);
      visit(cells, start);
    });
  });
}

}  // namespace rscvi::api
