// Further covariates and the observed library, which scvi 0.6.8 has not.
#include <cmath>
#include <limits>

#include "core/base/errors.h"
#include "core/model/make_model.h"
#include "core/posterior/latent.h"
#include "core/posterior/likelihood.h"
#include "core/posterior/population.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_cells = 24;

// One covariate of four categories and two continuous ones.
Toy toy_with_covariates() {
  Toy toy = toy_data(n_cells);
  Dataset& dataset = *toy.dataset;
  dataset.categorical.resize(1);
  dataset.continuous.resize(2);
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    dataset.categorical[0].push_back((cell / 2) % 4);
    dataset.continuous[0].push_back(static_cast<double>(cell));
    dataset.continuous[1].push_back(static_cast<double>(cell % 5) - 2);
  }
  return toy;
}

VaeOptions with_covariates(ModelType type, bool encode_covariates = false) {
  VaeOptions options = toy_options_of(type);
  options.n_categories = {4};
  options.continuous = {{11.5, 7}, {0, 1.5}};
  options.encode_covariates = encode_covariates;
  return options;
}

// What a network gets beside its input: batch, label (VAEC), covariate, standardised values.
at::Tensor columns_by_hand(const Minibatch& cells, const VaeOptions& options) {
  std::vector<at::Tensor> columns = {one_hot_columns(cells.batch_index, 2)};
  if (options.type == ModelType::vaec) columns.push_back(one_hot_columns(cells.label, toy_labels));
  columns.push_back(one_hot_columns(cells.categorical.select(1, 0), 4));
  columns.push_back((cells.continuous.narrow(1, 0, 1) - 11.5) / 7);
  columns.push_back(cells.continuous.narrow(1, 1, 1) / 1.5);
  for (at::Tensor& some : columns) some = some.to(at::kFloat);
  return at::cat(columns, 1);
}

constexpr ModelType all_types[] = {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi};

}  // namespace

TEST_CASE("covariates: the decoder gets their columns behind the batch's; the encoders none, unless asked to") {
  const Toy toy = toy_with_covariates();
  const Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  const at::NoGradGuard no_grad;
  RandomStream random(1);
  for (const ModelType type : {ModelType::vae, ModelType::vaec, ModelType::scanvi}) {
    for (const bool encode_covariates : {false, true}) {
      const VaeOptions options = with_covariates(type, encode_covariates);
      CAPTURE(static_cast<int>(type));
      CAPTURE(encode_covariates);
      Vae model = scrambled_model(options);
      const State state = live_state(*model);
      const at::Tensor columns = columns_by_hand(cells, options);
      const EncodedCells encoded = model->encode(cells.x, cells, random);
      const at::Tensor label = type == ModelType::vaec ? one_hot_columns(cells.label, toy_labels) : at::Tensor();
      const at::Tensor h = block_by_hand(state, "z_encoder.encoder", at::log1p(cells.x.dense()),
                                         encode_covariates ? columns : label);
      CHECK(max_relative_difference(encoded.qz_m, linear_by_hand(state, "z_encoder.mean_encoder", h)) < 1e-5);

      const LatentDraw drawn = model->draw(encoded, std::nullopt, Noise(), random);
      const CountParameters out = model->decode(drawn, cells, /*want_dropout=*/true, random);
      const at::Tensor hidden = block_by_hand(state, "decoder.px_decoder", drawn.z, columns);
      const at::Tensor scale = at::softmax(linear_by_hand(state, "decoder.px_scale_decoder.0", hidden), -1);
      CHECK(max_relative_difference(out.px_scale, scale) < 1e-5);
    }
  }
}

TEST_CASE("covariates: a linear decoder has columns for them, too") {
  const Toy toy = toy_with_covariates();
  const Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  const at::NoGradGuard no_grad;
  RandomStream random(1);
  VaeOptions options = with_covariates(ModelType::ldvae);
  options.use_batch_norm = false;
  Vae model = scrambled_model(options);
  const LatentDraw drawn = model->draw(model->encode(cells.x, cells, random), std::nullopt, Noise(), random);
  const at::Tensor weight = find(live_state(*model), "decoder.factor_regressor.fc_layers.Layer 0.0.weight");
  const at::Tensor expected =
      at::softmax(at::cat({drawn.z, columns_by_hand(cells, options)}, 1).matmul(weight.t()), -1);
  CHECK(max_relative_difference(model->decode(drawn, cells, true, random).px_scale, expected) < 1e-5);
}

TEST_CASE("covariates: all models' losses are finite, reach the covariates' weights, and do not depend on neighbours") {
  const Toy toy = toy_with_covariates();
  const Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  for (const ModelType type : all_types) {
    for (const Library library : {Library::latent, Library::observed}) {
      CAPTURE(static_cast<int>(type));
      VaeOptions options = with_covariates(type, /*encode_covariates=*/true);
      options.library = library;
      Vae model = scrambled_model(options);
      RandomStream random(3);
      const LossTerms terms = model->loss_terms(cells, Noise(), random);
      terms.negative_elbo().mean().backward();
      for (const auto& item : model->named_parameters()) {
        if (item.key().find("encoder.encoder.fc_layers.Layer 0.0.weight") == std::string::npos) continue;
        const at::Tensor gradient = item.value().grad();
        CAPTURE(item.key());
        REQUIRE(gradient.defined());
        // The last six columns: four categories, two values.
        CHECK(gradient.narrow(1, gradient.size(1) - 6, 6).abs().amax(0).min().item<double>() > 0);
      }
      if (has_classifier(type)) {
        const LossTerms without = model->unlabelled_loss_terms(cells, Noise(), random);
        CHECK(at::isfinite(without.negative_elbo()).all().item<bool>());
      }
    }
  }
}

TEST_CASE("covariates: large values near each other are told apart") {
  const Toy toy = toy_with_covariates();
  Minibatch near_zero = minibatch_of(*toy.dataset, cells_from(0, n_cells)), far = near_zero;
  VaeOptions options = with_covariates(ModelType::vae, /*encode_covariates=*/true), shifted = options;
  shifted.continuous[0].mean += 1e9;
  far.continuous = far.continuous.clone();
  far.continuous.select(1, 0).add_(1e9);
  const at::NoGradGuard no_grad;
  RandomStream random(1);
  Vae first = scrambled_model(options), second = scrambled_model(shifted);
  const at::Tensor z = first->encode(near_zero.x, near_zero, random).qz_m;
  CHECK(max_difference(z, second->encode(far.x, far, random).qz_m) < 1e-5);
}

TEST_CASE("covariates: must be given") {
  const Toy toy = toy_with_covariates();
  Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  Vae model = toy_model(with_covariates(ModelType::vae));
  RandomStream random(1);
  cells.continuous = cells.continuous.narrow(1, 0, 1);
  CHECK_THROWS_WITH_AS(model->loss_terms(cells, Noise(), random),
                       "the model was built with 2 continuous covariates, but the cells' values were not given",
                       InvalidArgument);
  cells.categorical = at::Tensor();
  CHECK_THROWS_WITH_AS(
      model->loss_terms(cells, Noise(), random),
      "the model was built with a batch, label or covariate of 4 categories, but the cells' codes were not given",
      InvalidArgument);
  VaeOptions options = with_covariates(ModelType::vae);
  options.continuous[1].sd = 0;
  CHECK_THROWS_AS(toy_model(options), InvalidArgument);
}

TEST_CASE("covariates: a model without them takes a data set that has some") {
  const Toy toy = toy_with_covariates();
  const Toy plain = toy_data(n_cells);
  Vae model = toy_model(toy_options());
  RandomStream first(1), second(1);
  const at::Tensor with = latent(posterior_of(model, toy), true, 1, Noise(), first);
  CHECK(same_bits(with, latent(posterior_of(model, plain), true, 1, Noise(), second)));
}

TEST_CASE("covariates: samples of a population are decoded with those of their cells") {
  const Toy toy = toy_with_covariates();
  Vae model = scrambled_model(with_covariates(ModelType::vae));
  Posterior posterior = posterior_of(model, toy);
  posterior.cells = {7};
  PopulationOptions options;
  options.n_samples = 200;
  RandomStream random(1);
  const at::Tensor one = population_scale(model, sample_population(posterior, options, random), 0, toy_genes);
  // The same cell with another covariate's value is decoded otherwise.
  toy.dataset->continuous[0][7] += 70;
  RandomStream again(1);
  const at::Tensor other = population_scale(model, sample_population(posterior, options, again), 0, toy_genes);
  CHECK(max_difference(one.mean(0), other.mean(0)) > 0.01);
}

TEST_CASE("observed library: ln of the cell's counts, certain, without a divergence or an encoder") {
  const Toy toy = toy_with_covariates();
  Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  const at::NoGradGuard no_grad;
  for (const ModelType type : all_types) {
    CAPTURE(static_cast<int>(type));
    VaeOptions options = toy_options_of(type);
    options.library = Library::observed;
    Vae model = scrambled_model(options);
    for (const auto& item : live_state(*model)) CHECK(item.first.rfind("l_encoder", 0) != 0);
    RandomStream random(1);
    const EncodedCells encoded = model->encode(cells.x, cells, random);
    const at::Tensor expected = at::log(cells.x.dense().sum(1, true));
    CHECK(max_difference(encoded.ql_m, expected) < 1e-6);
    CHECK(encoded.ql_v.abs().max().item<double>() == 0);
    for (const auto draws : {std::optional<std::int64_t>(), std::make_optional<std::int64_t>(3)}) {
      const LatentDraw drawn = model->draw(encoded, draws, Noise(), random);
      CHECK(drawn.library.dim() == (draws ? 3 : 2));
      CHECK(max_difference(drawn.library, expected.expand_as(drawn.library)) < 1e-6);
      const CountParameters out = model->decode(drawn, cells, false, random);
      CHECK(max_relative_difference(out.px_rate.sum(-1), cells.x.dense().sum(1).expand_as(out.px_rate.sum(-1))) < 1e-4);
    }
    CHECK(model->loss_terms(cells, Noise(), random).kl_l.abs().max().item<double>() == 0);
    if (has_classifier(type)) {
      CHECK(model->unlabelled_loss_terms(cells, Noise(), random).kl_l.abs().max().item<double>() == 0);
    }
  }
}

TEST_CASE("observed library: a cell without counts has log library 0, and finite losses") {
  const Toy toy = toy_with_covariates();
  Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  at::Tensor x = cells.x.dense().clone();
  x[3].zero_();
  cells.x = x;
  VaeOptions options = toy_options();
  options.library = Library::observed;
  Vae model = scrambled_model(options);
  RandomStream random(1);
  CHECK(model->encode(cells.x, cells, random).ql_m[3].item<float>() == 0);
  CHECK(at::isfinite(model->loss_terms(cells, Noise(), random).negative_elbo()).all().item<bool>());
}

TEST_CASE("observed library: with one draw, the marginal likelihood's weight is the ELBO's") {
  const Toy toy = toy_with_covariates();
  VaeOptions options = with_covariates(ModelType::vae);
  options.library = Library::observed;
  Vae model = scrambled_model(options);
  const Posterior posterior = posterior_of(model, toy);
  // At z = mean of q, ln p(z) - ln q(z) is known.
  Noise noise;
  noise.z = at::zeros({1, n_cells, options.n_latent});
  RandomStream random(1);
  const double marginal = negative_marginal_ll(posterior, 1, noise, random);
  const at::NoGradGuard no_grad;
  const Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, n_cells));
  const EncodedCells encoded = model->encode(cells.x, cells, random);
  Noise none;
  none.z = at::zeros({n_cells, options.n_latent});
  const at::Tensor reconst = model->loss_terms(cells, none, random).reconst_loss;
  const at::Tensor ratio = 0.5 * (encoded.qz_m * encoded.qz_m - at::log(encoded.qz_v)).sum(1);
  CHECK(std::abs(marginal - (reconst + ratio).mean().item<double>()) < 1e-3);
}
