#include "core/api/posterior.h"

#include "core/api/model_handle.h"
#include "core/api/training.h"
#include "core/base/device.h"
#include "core/posterior/expression.h"
#include "core/posterior/latent.h"
#include "core/posterior/likelihood.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

struct Scene {
  Scene() : model(toy_options(), 3) {
    api.model = model;
    core.model = model.handle().vae;
    api.dataset = core.dataset = toy.dataset;
    api.cells = core.cells = {5, 2, 2, 40, 17, 8, 33};
    api.batch_size = core.batch_size = 3;
    api.use_cuda = false;
  }
  Toy toy = toy_data();
  api::Model model;
  api::Posterior api{model, nullptr, {}, 128, false, false};
  Posterior core;
};

}  // namespace

TEST_CASE("api posterior: every answer is the core's, for the same seed") {
  Scene scene;
  RandomStream a(7), b(7), c(7), d(7);
  CHECK(same_bits(api::to_tensor(api::latent(scene.api, false, 1, {}, 7)), latent(scene.core, false, 1, Noise(), a)));
  CHECK(same_bits(api::to_tensor(api::library_draws(scene.api, {}, 7)), library_draws(scene.core, Noise(), b)));
  const api::MeanLosses losses = api::mean_losses(scene.api, {}, 7);
  const MeanLossTerms expected = mean_loss_terms(scene.core, Noise(), c);
  CHECK(losses.reconst_loss == expected.reconst_loss);
  CHECK(losses.kl_z == expected.kl_z);
  CHECK(losses.kl_l == expected.kl_l);
  CHECK(api::negative_marginal_ll(scene.api, 5, {}, 7) == negative_marginal_ll(scene.core, 5, Noise(), d));
}

TEST_CASE("api posterior: the corrupted counts when asked for") {
  Scene scene;
  scene.toy.dataset->corrupted = source_of(compress(at::floor(scene.toy.x / 2)));
  const api::Array observed = api::latent(scene.api, true, 1, {}, 1);
  scene.api.corrupted = true;
  const api::Array corrupted = api::latent(scene.api, true, 1, {}, 1);
  CHECK(corrupted.data != observed.data);
  scene.toy.dataset->counts = scene.toy.dataset->corrupted;
  scene.api.corrupted = false;
  CHECK(api::latent(scene.api, true, 1, {}, 1).data == corrupted.data);
}

TEST_CASE("api posterior: sample scale fills draws x cells x genes, the first index fastest, or their mean") {
  constexpr std::int64_t n = 7, n_samples = 4, n_genes = 3;
  Scene scene;
  api::ScaleRequest request;
  request.n_samples = n_samples;
  request.transform_batch = {0, 1};
  request.genes = {4, 0, 9};
  request.library_size = 100;

  SampleScaleOptions options{{n_samples, request.transform_batch, request.genes}, request.library_size};
  std::vector<at::Tensor> blocks;
  RandomStream random(7);
  sample_scale(scene.core, options, Noise(), random,
               [&](const BlockPlace&, const at::Tensor& block) { blocks.push_back(block); });
  const at::Tensor expected = at::cat(blocks, 1);  // (S, n, genes)

  std::vector<double> draws(n_samples * n * n_genes, -1), mean(n * n_genes, -1);
  api::sample_scale(scene.api, request, /*mean=*/false, {}, 7, api::columns(draws.data(), n_samples * n, n_genes));
  api::sample_scale(scene.api, request, /*mean=*/true, {}, 7, api::columns(mean.data(), n, n_genes));
  CHECK(draws == values_of(expected.permute({2, 1, 0})));
  CHECK(mean == values_of(expected.mean(0).t()));
}

TEST_CASE("api posterior: minibatches go out cell by cell") {
  Scene scene;
  Cells starts, batch, label;
  std::vector<float> x, local_mean;
  api::for_each_minibatch(scene.api, [&](const api::Cells& cells, std::int64_t start) {
    starts.push_back(start);
    batch.insert(batch.end(), cells.batch_index.begin(), cells.batch_index.end());
    label.insert(label.end(), cells.label.begin(), cells.label.end());
    x.insert(x.end(), cells.x.data.begin(), cells.x.data.end());
    local_mean.insert(local_mean.end(), cells.local_l_mean.data.begin(), cells.local_l_mean.data.end());
  });
  CHECK(starts == Cells{0, 3, 6});
  const Minibatch expected = minibatch_of(*scene.toy.dataset, scene.api.cells);
  CHECK(same_bits(at::tensor(x).view({7, 12}), expected.x.dense()));
  CHECK(same_bits(at::tensor(batch), expected.batch_index));
  CHECK(same_bits(at::tensor(label), expected.label));
  CHECK(same_bits(at::tensor(local_mean), expected.local_l_mean.squeeze(1)));
}

TEST_CASE("api training: trains the model in place as the core does") {
  Scene scene;
  Vae expected = toy_model(toy_options());
  load_state(*expected, copy_state(*scene.core.model));
  QuietMonitor monitor, other_monitor;
  const TrainOptions options = quick_training(2);
  const TrainResult result =
      api::train(scene.model, scene.toy.dataset, cells_from(0, 60), options, /*use_cuda=*/false, 5, monitor);
  train(expected, scene.toy.dataset, cells_from(0, 60), options, RandomStream(5), other_monitor);
  CHECK(result.iterations == 6);
  CHECK(monitor.reports.size() == 2);
  CHECK(same_bits(live_state(*scene.core.model), live_state(*expected)));
}

TEST_CASE("api: a GPU that is not there is a device error") {
  if (cuda_is_available()) return;
  Scene scene;
  QuietMonitor monitor;
  scene.api.use_cuda = true;
  CHECK_THROWS_AS(api::latent(scene.api, true, 1, {}, 1), DeviceError);
  CHECK_THROWS_AS(api::train(scene.model, scene.toy.dataset, cells_from(0, 60), quick_training(1), true, 1, monitor),
                  DeviceError);
  CHECK_FALSE(api::cuda_is_available());
}
