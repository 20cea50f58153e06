#include "core/model/vae.h"

#include <cmath>

#include "core/base/errors.h"
#include "core/distributions/counts.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_cells = 24;

struct Scene {
  explicit Scene(const VaeOptions& options, std::int64_t n_batch = 3)
      : toy(toy_data(n_cells, n_batch)),
        minibatch(minibatch_of(*toy.dataset, cells_from(0, n_cells))),
        model(scrambled_model(options)),
        state(live_state(*model)) {}

  EncodedCells encode() { return model->encode(minibatch.x, minibatch, random); }
  Noise noise(std::int64_t n_latent) {
    return {random.normal({n_cells, n_latent}, c10::kCPU), random.normal({n_cells, 1}, c10::kCPU)};
  }

  at::NoGradGuard no_grad;
  Toy toy;
  Minibatch minibatch;
  Vae model;
  State state;
  RandomStream random{2};
};

VaeOptions options_with(Dispersion dispersion, std::int64_t n_layers = 1) {
  VaeOptions options = toy_options(/*n_batch=*/3);
  options.dispersion = dispersion;
  options.n_layers = n_layers;
  return options;
}

}  // namespace

TEST_CASE("vae: the encoders see ln(1 + x), or x itself; the library's has one layer whatever n_layers says") {
  for (const bool log_variational : {true, false}) {
    VaeOptions options = options_with(Dispersion::gene, /*n_layers=*/2);
    options.log_variational = log_variational;
    Scene scene(options);
    const EncodedCells encoded = scene.encode();
    const at::Tensor input = log_variational ? at::log(1 + scene.minibatch.x.dense()) : scene.minibatch.x.dense();
    const at::Tensor h_z = block_by_hand(scene.state, "z_encoder.encoder", input, at::Tensor());
    const at::Tensor h_l = block_by_hand(scene.state, "l_encoder.encoder", input, at::Tensor());
    const auto mean = [&](const std::string& encoder, const at::Tensor& h) {
      return linear_by_hand(scene.state, encoder + ".mean_encoder", h);
    };
    const auto variance = [&](const std::string& encoder, const at::Tensor& h) {
      return at::exp(linear_by_hand(scene.state, encoder + ".var_encoder", h)) + 1e-4;
    };
    CHECK(max_relative_difference(encoded.qz_m, mean("z_encoder", h_z)) < 1e-5);
    CHECK(max_relative_difference(encoded.qz_v, variance("z_encoder", h_z)) < 1e-5);
    CHECK(max_relative_difference(encoded.ql_m, mean("l_encoder", h_l)) < 1e-5);
    CHECK(max_relative_difference(encoded.ql_v, variance("l_encoder", h_l)) < 1e-5);
    for (const auto& item : scene.state) {
      CHECK(item.first.find("l_encoder.encoder.fc_layers.Layer 1") == std::string::npos);
    }
  }
}

TEST_CASE("vae: given noise makes the draws mean + sd * noise") {
  Scene scene(toy_options());
  const EncodedCells encoded = scene.encode();
  const Noise noise = scene.noise(3);
  const LatentDraw drawn = scene.model->draw(encoded, std::nullopt, noise, scene.random);
  CHECK(max_relative_difference(drawn.gaussian, encoded.qz_m + at::sqrt(encoded.qz_v) * noise.z) < 1e-6);
  CHECK(max_relative_difference(drawn.library, encoded.ql_m + at::sqrt(encoded.ql_v) * noise.library) < 1e-6);

  const Noise many = {scene.random.normal({4, n_cells, 3}, c10::kCPU),
                      scene.random.normal({4, n_cells, 1}, c10::kCPU)};
  const LatentDraw draws = scene.model->draw(encoded, 4, many, scene.random);
  for (int s = 0; s < 4; ++s) {
    const LatentDraw one =
        scene.model->draw(encoded, std::nullopt, {many.z[s], many.library[s]}, scene.random);
    CHECK(same_bits(draws.z[s], one.z));
    CHECK(same_bits(draws.library[s], one.library));
  }
}

TEST_CASE("vae: noise of another shape is refused by name") {
  Scene scene(toy_options());
  const EncodedCells encoded = scene.encode();
  const Noise noise = scene.noise(3);
  const auto draw = [&](std::optional<std::int64_t> n_samples, const at::Tensor& z, const at::Tensor& library) {
    return scene.model->draw(encoded, n_samples, {z, library}, scene.random);
  };
  CHECK_THROWS_WITH_AS(draw(std::nullopt, noise.z.t(), noise.library), "noise$z must be 24 x 3, not 3 x 24",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(draw(std::nullopt, noise.z, noise.z), "noise$library must be 24 x 1, not 24 x 3",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(draw(2, noise.z, at::Tensor()), "noise$z must be 2 x 24 x 3, not 24 x 3", InvalidArgument);
}

TEST_CASE("vae: random draws have the encoders' means and variances") {
  constexpr std::int64_t n_samples = 4000;
  Scene scene(toy_options());
  const EncodedCells encoded = scene.encode();
  const LatentDraw drawn = scene.model->draw(encoded, n_samples, Noise(), scene.random);
  const double se = 1 / std::sqrt(static_cast<double>(n_samples));  // of a standardised mean; 96 of them are checked
  CHECK(max_difference((drawn.z.mean(0) - encoded.qz_m) / at::sqrt(encoded.qz_v), at::zeros({n_cells, 3})) < 4.5 * se);
  CHECK(max_difference(drawn.z.var(0) / encoded.qz_v, at::ones({n_cells, 3})) < 4.5 * std::sqrt(2.0) * se);
  CHECK(max_difference((drawn.library.mean(0) - encoded.ql_m) / at::sqrt(encoded.ql_v), at::zeros({n_cells, 1})) <
        4.5 * se);
}

TEST_CASE("vae: the decoder sees the batch that it is told, in every layer") {
  Scene scene(options_with(Dispersion::gene_cell, /*n_layers=*/2));
  const LatentDraw drawn = scene.model->draw(scene.encode(), std::nullopt, Noise(), scene.random);
  for (const at::Tensor& batch : {scene.minibatch.batch_index, at::full_like(scene.minibatch.batch_index, 2)}) {
    const CountParameters out = scene.model->decode(drawn, {batch, scene.minibatch.label}, true, scene.random);
    const at::Tensor h = block_by_hand(scene.state, "decoder.px_decoder", drawn.z, one_hot_columns(batch, 3));
    const at::Tensor scale = at::softmax(linear_by_hand(scene.state, "decoder.px_scale_decoder.0", h), 1);
    CHECK(max_relative_difference(out.px_scale, scale) < 1e-6);
    CHECK(max_relative_difference(out.px_r, at::exp(linear_by_hand(scene.state, "decoder.px_r_decoder", h))) < 1e-5);
    CHECK(max_relative_difference(out.px_dropout, linear_by_hand(scene.state, "decoder.px_dropout_decoder", h)) <
          1e-5);
  }
}

TEST_CASE("vae: theta of a cell is that of its genes, its batch or its label") {
  const auto theta = [](Dispersion dispersion) {
    Scene scene(options_with(dispersion));
    const LatentDraw drawn = scene.model->draw(scene.encode(), std::nullopt, Noise(), scene.random);
    const Minibatch& cells = scene.minibatch;
    const at::Tensor px_r = find(scene.state, "px_r"), out =
        scene.model->decode(drawn, cells, false, scene.random).px_r;
    if (dispersion == Dispersion::gene) return std::make_pair(out, at::exp(px_r));
    const at::Tensor code = dispersion == Dispersion::gene_batch ? cells.batch_index : cells.label;
    return std::make_pair(out, at::exp(one_hot_columns(code, 3).matmul(px_r.t())));
  };
  for (const Dispersion dispersion : {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label}) {
    const auto both = theta(dispersion);
    CHECK(max_relative_difference(both.first, both.second) < 1e-6);
  }
}

TEST_CASE("vae: many draws are decoded as each would be alone") {
  for (const Dispersion dispersion : {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_cell}) {
    Scene scene(options_with(dispersion));
    const Minibatch& cells = scene.minibatch;
    const LatentDraw draws = scene.model->draw(scene.encode(), 3, Noise(), scene.random);
    const CountParameters all = scene.model->decode(draws, cells, true, scene.random);
    for (int s = 0; s < 3; ++s) {
      const LatentDraw draw = {draws.gaussian[s], draws.z[s], draws.library[s]};
      const CountParameters one = scene.model->decode(draw, cells, true, scene.random);
      CHECK(max_relative_difference(all.px_scale[s], one.px_scale) < 1e-6);
      CHECK(max_relative_difference(all.px_rate[s], one.px_rate) < 1e-5);
      CHECK(max_relative_difference(all.px_dropout[s], one.px_dropout) < 1e-5);
      CHECK(max_relative_difference(all.px_r.dim() == 3 ? all.px_r[s] : all.px_r, one.px_r) < 1e-5);
    }
  }
}

TEST_CASE("vae: the loss is minus the log-probability of the counts, and two Gaussian divergences") {
  for (const auto latent : {LatentDistribution::normal, LatentDistribution::logistic_normal}) {
    VaeOptions options = options_with(Dispersion::gene_label);
    options.latent_distribution = latent;
    Scene scene(options);
    const Minibatch& cells = scene.minibatch;
    const Noise noise = scene.noise(3);
    const LossTerms terms = scene.model->loss_terms(cells, noise, scene.random);

    const EncodedCells q = scene.encode();
    const LatentDraw drawn = scene.model->draw(q, std::nullopt, noise, scene.random);
    const CountParameters out = scene.model->decode(drawn, cells, true, scene.random);
    const auto wide = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
    const at::Tensor log_p = log_probability(CountDistribution::zinb, wide(cells.x.dense()), wide(out.px_rate),
                                             wide(out.px_r), wide(out.px_dropout));
    CHECK(max_relative_difference(terms.reconst_loss, -log_p.sum(1)) < 1e-5);
    // Of the Gaussian under the softmax too, where there is one.
    const at::Tensor kl_z = (q.qz_v + q.qz_m * q.qz_m - 1 - at::log(q.qz_v)).sum(1) / 2;
    CHECK(max_relative_difference(terms.kl_z, kl_z) < 1e-5);
    const at::Tensor V = cells.local_l_var, distance = q.ql_m - cells.local_l_mean;
    const at::Tensor kl_l = (at::log(V) - at::log(q.ql_v) + (q.ql_v + distance * distance) / V - 1).sum(1) / 2;
    CHECK(max_relative_difference(terms.kl_l, kl_l) < 1e-5);
  }
}

TEST_CASE("vae: labels must be given where theta depends on them") {
  Scene scene(options_with(Dispersion::gene_label));
  scene.minibatch.label = at::Tensor();
  CHECK_THROWS_WITH_AS(scene.model->loss_terms(scene.minibatch, Noise(), scene.random),
                       "y is needed: this model has one dispersion a gene and label", InvalidArgument);
}

TEST_CASE("vae: a fresh model depends on the seed alone, and ln theta starts standard normal") {
  VaeOptions options = toy_options();
  options.n_input = 5000;
  options.n_hidden = 2;
  const Vae model = toy_model(options, 3);
  CHECK(same_bits(live_state(*model), live_state(*toy_model(options, 3))));
  CHECK_FALSE(same_bits(live_state(*model), live_state(*toy_model(options, 4))));
  const at::Tensor px_r = find(live_state(*model), "px_r");
  CHECK(std::abs(px_r.mean().item<double>()) < 4.5 / std::sqrt(5000.0));
  CHECK(std::abs(px_r.var().item<double>() - 1) < 4.5 * std::sqrt(2 / 5000.0));
}
