// The GPU against the CPU. Nobody has run these yet: they do nothing where there is no GPU, and say so.
#include <cmath>

#include "core/base/device.h"
#include "core/data/device_cells.h"
#include "core/model/make_model.h"
#include "core/posterior/latent.h"
#include "core/posterior/likelihood.h"
#include "core/training/step_graph.h"
#include "core/training/trainer.h"
#include "core/training/vae_plan.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

bool without_gpu() {
  if (cuda_is_available()) return false;
  MESSAGE("not run: this LibTorch sees no GPU");
  return true;
}

const c10::Device gpu(c10::kCUDA);

bool without_graphs() {
  if (without_gpu()) return true;
  if (has_step_graphs(gpu)) return false;
  MESSAGE("not run: built without CUDA graphs");
  return true;
}

// Models that get equal noise, and with it equal results.
Noise some_noise(std::int64_t n_cells, const VaeOptions& options) {
  RandomStream random(5);
  return {random.normal({n_cells, options.n_latent}, c10::kCPU), random.normal({n_cells, 1}, c10::kCPU), at::Tensor()};
}

MeanLossTerms losses_on(c10::Device device, const Toy& toy, const VaeOptions& options) {
  Vae model = scrambled_model(options);
  model->to(device);
  RandomStream random(1);
  return mean_loss_terms(posterior_of(model, toy, /*batch_size=*/25), some_noise(60, options), random);
}

bool near_to(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }
bool near(double a, double b) { return near_to(a, b, 1e-4); }

}  // namespace

TEST_CASE("GPU: minibatches have the bits of the CPU's, kept there or sent there") {
  if (without_gpu()) return;
  const Toy toy = toy_data();
  const Cells cells = {17, 3, 3, 59, 0};
  const at::Tensor expected = minibatch_of(*toy.dataset, cells).x.dense();
  const auto kept = DeviceCells::load(*toy.dataset, CountsKind::observed, gpu, std::int64_t{1} << 30);
  REQUIRE(kept != nullptr);
  CHECK(same_bits(kept->gather(cells.data(), 5).x.dense().cpu(), expected));
  const Minibatch sent = gather_minibatch(*toy.dataset, cells.data(), 5, CountsKind::observed, gpu);
  CHECK(same_bits(sent.x.dense().cpu(), expected));
  CHECK(at::equal(sent.batch_index.cpu(), minibatch_of(*toy.dataset, cells).batch_index));
}

TEST_CASE("GPU: losses and latent space within 1e-4 of the CPU's") {
  if (without_gpu()) return;
  const Toy toy = toy_data();
  for (const auto loss : {ReconstructionLoss::zinb, ReconstructionLoss::nb, ReconstructionLoss::poisson}) {
    VaeOptions options = toy_options();
    options.reconstruction_loss = loss;
    const MeanLossTerms there = losses_on(gpu, toy, options), here = losses_on(c10::kCPU, toy, options);
    CHECK(near(there.reconst_loss, here.reconst_loss));
    CHECK(near(there.kl_z, here.kl_z));
    CHECK(near(there.kl_l, here.kl_l));
  }
  Vae model = scrambled_model(toy_options());
  RandomStream random(1);
  const at::Tensor here = latent(posterior_of(model, toy), true, 1, Noise(), random);
  model->to(gpu);
  const at::Tensor there = latent(posterior_of(model, toy), true, 1, Noise(), random);
  CHECK(max_relative_difference(there.cpu(), here) < 1e-4);
}

// Without dropout, and with next to no variance of the latent variables, an epoch has little chance in it but the order
// of cells. noise_seed: of the chance that is left.
double loss_after_an_epoch(c10::Device device, std::uint64_t noise_seed) {
  const Toy toy = toy_data();
  VaeOptions options = toy_options();
  options.dropout_rate = 0;
  Vae model = toy_model(options);
  for (auto& item : model->named_parameters()) {
    if (item.key().find("var_encoder.bias") != std::string::npos) item.value().detach().fill_(-40);
  }
  model->to(device);
  const TrainOptions training = quick_training(1);
  const auto plan = make_plan(model, toy.dataset, training, RandomStream(noise_seed));
  QuietMonitor monitor;
  train(*plan, cells_from(0, 60), training, RandomStream(1), monitor);
  RandomStream random(1);
  return mean_loss_terms(posterior_of(model, toy), some_noise(60, options), random).reconst_loss;
}

TEST_CASE("GPU: an epoch from the same weights within 1e-3 of the CPU's, which differs less by its draws") {
  const double here = loss_after_an_epoch(c10::kCPU, 1);
  CHECK(std::abs(loss_after_an_epoch(c10::kCPU, 2) - here) <= 1e-3 * std::abs(here));
  if (without_gpu()) return;
  CHECK(std::abs(loss_after_an_epoch(gpu, 1) - here) <= 1e-3 * std::abs(here));
}

TEST_CASE("GPU: what is repeated as a CUDA graph draws anew each time, as if it were called") {
  if (without_graphs()) return;
  RandomStream random(5), same(5);
  at::Tensor draws = at::empty({1000}, at::TensorOptions(at::kFloat).device(gpu));
  const auto graph = make_step_graph(draws.device(), random);
  graph->record([&] { draws.copy_(random.normal({1000}, draws.device())); });
  graph->replay();
  const at::Tensor first = draws.clone();
  graph->replay();
  const at::Tensor second = draws.clone();
  CHECK_FALSE(at::equal(first, second));
  CHECK(at::equal(first, same.normal({1000}, draws.device())));
  CHECK(at::equal(second, same.normal({1000}, draws.device())));
}

TEST_CASE("GPU: training by CUDA graphs within 1e-3 of steps that are called, with dropout, noise and a warm-up") {
  if (without_graphs()) return;
  const Toy toy = toy_data();
  const auto losses = [&](bool step_graph) {
    TrainOptions options = quick_training(10);  // of 3 steps
    options.step_graph = step_graph;
    options.lr_schedule = LrSchedule::cosine;
    options.kl_warmup.iterations = 20;
    options.kl_warmup.epochs = std::nullopt;
    Vae model = toy_model(toy_options());
    model->to(gpu);
    QuietMonitor monitor;
    return train(model, toy.dataset, cells_from(0, 60), options, RandomStream(1), monitor).history;
  };
  const auto repeated = losses(true), called = losses(false);
  for (std::size_t row = 1; row < called.size(); ++row) CHECK(near_to(repeated[row].loss, called[row].loss, 1e-3));
}

TEST_CASE("GPU: training there lowers the loss, with counts kept there and with counts sent there") {
  if (without_gpu()) return;
  const Toy toy = toy_data();
  for (const std::int64_t largest : {std::int64_t{1} << 30, std::int64_t{0}}) {
    TrainOptions options = quick_training(20);
    options.largest_on_device = largest;
    Vae model = toy_model(toy_options());
    model->to(gpu);
    QuietMonitor monitor;
    const TrainResult result =
        train(model, toy.dataset, cells_from(0, 60), options, RandomStream(1), monitor);
    CHECK(result.status == TrainStatus::completed);
    CHECK(result.history[20].loss < result.history[1].loss - 5);
  }
}
