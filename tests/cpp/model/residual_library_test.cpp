#include <cmath>

#include "core/model/vae.h"
#include "gradients.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

VaeOptions residual_options(ModelType type = ModelType::vae) {
  VaeOptions options = toy_options_of(type);
  options.library = Library::residual;
  return options;
}

at::Tensor log_total(const Toy& toy) { return at::log(toy.x.sum(1, /*keepdim=*/true)); }

}  // namespace

TEST_CASE("residual library: the mean starts at the observed log total, of every model, in training and evaluation") {
  const at::NoGradGuard no_grad;
  const Toy toy = toy_data();
  const Minibatch all = minibatch_of(*toy.dataset, cells_from(0, toy.dataset->n_cells()));
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    Vae model = toy_model(residual_options(type));
    RandomStream random(3);
    for (const bool training : {true, false}) {
      model->train(training);
      const GaussianParameters l = model->encode_library(all.x, all, random);
      CHECK(max_difference(l.mean, log_total(toy)) < 1e-6);
      CHECK(l.variance.min().item<float>() > 1e-4F);
    }
  }
}

TEST_CASE("residual library: later the encoder's output is added to it, and it has the prior of a latent library") {
  const at::NoGradGuard no_grad;
  const Toy toy = toy_data();
  const Minibatch all = minibatch_of(*toy.dataset, cells_from(0, toy.dataset->n_cells()));
  Vae model = scrambled_model(residual_options());
  const State state = live_state(*model);
  RandomStream random(3);
  const EncodedCells q = model->encode(all.x, all, random);
  const at::Tensor h = block_by_hand(state, "l_encoder.encoder", at::log1p(toy.x), at::Tensor());
  const at::Tensor residual = linear_by_hand(state, "l_encoder.mean_encoder", h);
  CHECK(residual.abs().max().item<float>() > 0.1F);
  CHECK(max_relative_difference(q.ql_m, log_total(toy) + residual) < 1e-5);
  CHECK(max_relative_difference(q.ql_v, at::exp(linear_by_hand(state, "l_encoder.var_encoder", h)) + 1e-4) < 1e-5);

  const LossTerms terms = model->loss_terms(all, Noise(), random);
  const at::Tensor of_prior =
      (at::log(all.local_l_var / q.ql_v) + (q.ql_v + (q.ql_m - all.local_l_mean).square()) / all.local_l_var - 1) / 2;
  CHECK(max_relative_difference(terms.kl_l, of_prior.squeeze(1)) < 1e-5);

  const Noise noise = {at::zeros({60, 3}), at::ones({60, 1}), at::Tensor()};
  const LatentDraw draw = model->draw(q, std::nullopt, noise, random);
  CHECK(max_relative_difference(draw.library, q.ql_m + at::sqrt(q.ql_v)) < 1e-6);
}

TEST_CASE("residual library: a cell without counts has log library 0 plus the residual, and a finite loss") {
  const at::NoGradGuard no_grad;
  const Toy toy = toy_data();
  Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, 4));
  cells.x = at::zeros({4, toy_genes});
  Vae model = toy_model(residual_options());
  RandomStream random(3);
  CHECK(max_difference(model->encode_library(cells.x, cells, random).mean, at::zeros({4, 1})) < 1e-6);
  CHECK(at::isfinite(model->loss_terms(cells, Noise(), random).negative_elbo()).all().item<bool>());
}

TEST_CASE("residual library: gradients are those of finite differences, with batch and with layer normalisation") {
  const Toy toy = toy_data(18);
  for (const Normalisation normalisation : {Normalisation::batch, Normalisation::layer}) {
    VaeOptions options = residual_options();
    options.normalisation = normalisation;
    Vae model = scrambled_model(options);
    model->to(at::kDouble);
    const Minibatch minibatch = as_double(minibatch_of(*toy.dataset, cells_from(0, 18)));
    RandomStream random(3);
    const Noise noise = {random.normal({18, 3}, c10::kCPU).to(at::kDouble),
                         random.normal({18, 1}, c10::kCPU).to(at::kDouble), at::Tensor()};
    CHECK(largest_gradient_error(*model, [&] {
            return model->objective(model->loss_terms(minibatch, noise, random), 0.7).mean();
          }) < 1e-5);
    // The floor lies below some dimensions' divergence and above others'.
    const LossTerms terms = model->loss_terms(minibatch, noise, random);
    const at::Tensor by_dimension =
        ((terms.qz.variance + terms.qz.mean.square() - 1 - at::log(terms.qz.variance)) / 2).mean(0);
    const double floor = by_dimension.median().item<double>() * 1.01;
    CHECK(largest_gradient_error(*model, [&] {
            return model->objective(model->loss_terms(minibatch, noise, random), 0.7, floor).mean();
          }) < 1e-5);
  }
}
