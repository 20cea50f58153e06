#include "core/model/more_batches.h"

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

VaeOptions options_of(ModelType type, std::int64_t n_batch, bool encode_covariates) {
  VaeOptions options = toy_options_of(type, n_batch);
  options.n_layers = 2;
  options.dispersion = Dispersion::gene_batch;
  options.n_categories = {3};
  options.continuous = {{0, 2}};
  options.encode_covariates = encode_covariates;
  return options;
}

Minibatch cells_of(const Toy& toy) {
  Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, 24));
  cells.categorical = (at::arange(24) % 3).unsqueeze(1);
  cells.continuous = at::arange(24, at::kFloat).unsqueeze(1) / 10;
  return cells;
}

struct Answers {
  at::Tensor z, library, scale, theta;
};
Answers ask(Vae& model, const Minibatch& cells) {
  const EvaluationScope evaluation(model);
  RandomStream random(1);
  const EncodedCells encoded = model->encode(cells.x, cells, random);
  const LatentDraw drawn = model->draw(encoded, std::nullopt, Noise(), random);
  const CountParameters out = model->decode(drawn, cells, /*want_dropout=*/true, random);
  return {encoded.qz_m, encoded.ql_m, out.px_scale, out.px_r};
}

}  // namespace

TEST_CASE("more batches: cells of the known batches get the same answers, to the bit") {
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    for (const std::int64_t n_batch : {1, 3}) {
      for (const bool encode_covariates : {false, true}) {
        CAPTURE(static_cast<int>(type));
        CAPTURE(n_batch);
        CAPTURE(encode_covariates);
        const Toy toy = toy_data(24, n_batch);
        Vae model = scrambled_model(options_of(type, n_batch, encode_covariates));
        Vae more = with_more_batches(model, 2);
        CHECK(more->options().n_batch == n_batch + 2);
        const Minibatch cells = cells_of(toy);
        const Answers before = ask(model, cells), after = ask(more, cells);
        CHECK(same_bits(before.z, after.z));
        CHECK(same_bits(before.library, after.library));
        // A linear decoder multiplies a wider matrix.
        const bool is_linear = type == ModelType::ldvae;
        CHECK((is_linear ? max_difference(before.scale, after.scale) < 1e-6 : same_bits(before.scale, after.scale)));
        CHECK(same_bits(before.theta, after.theta));
      }
    }
  }
}

TEST_CASE("more batches: a new one starts as the mean of the known ones") {
  const Toy toy = toy_data(24, 3);
  Vae model = scrambled_model(options_of(ModelType::vae, 3, false));
  Vae more = with_more_batches(model, 2);
  const State before = live_state(*model), after = live_state(*more);
  const std::string name = "decoder.px_decoder.fc_layers.Layer 0.0.weight";
  const std::int64_t n_latent = model->options().n_latent;
  const at::Tensor mean = find(before, name).narrow(1, n_latent, 3).mean(1);
  CHECK(max_difference(find(after, name).select(1, n_latent + 3), mean) < 1e-6);
  CHECK(max_difference(find(after, name).select(1, n_latent + 4), mean) < 1e-6);
  // Covariates' columns moved behind it.
  CHECK(same_bits(find(after, name).narrow(1, n_latent + 5, 4), find(before, name).narrow(1, n_latent + 3, 4)));
  CHECK(max_difference(find(after, "px_r").select(1, 3), find(before, "px_r").mean(1)) < 1e-6);
}

TEST_CASE("more batches: the columns of a batch are those that change what it, and only it, is decoded to") {
  const Toy toy = toy_data(24, 2);
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    CAPTURE(static_cast<int>(type));
    Vae model = with_more_batches(scrambled_model(options_of(type, 2, /*encode_covariates=*/true)), 1);
    Minibatch known = cells_of(toy), unknown = known;
    unknown.batch_index = at::full({24}, 2, at::kLong);
    const Answers known_before = ask(model, known), unknown_before = ask(model, unknown);
    const auto columns = columns_of_batches(*model, 2, 1);
    // Two layers of the decoder (or two linear ones), two of the z encoder, one of the library's, and px_r.
    CHECK(columns.size() == 6);
    const at::NoGradGuard no_grad;
    for (const Columns& some : columns) {
      for (const std::int64_t c : some.which) find(live_state(*model), some.parameter).select(1, c).add_(0.5);
    }
    const Answers known_after = ask(model, known), unknown_after = ask(model, unknown);
    CHECK(same_bits(known_before.z, known_after.z));
    CHECK(same_bits(known_before.library, known_after.library));
    CHECK(same_bits(known_before.scale, known_after.scale));
    CHECK(same_bits(known_before.theta, known_after.theta));
    CHECK(max_difference(unknown_before.z, unknown_after.z) > 1e-3);
    CHECK(max_difference(unknown_before.library, unknown_after.library) > 1e-3);
    CHECK(max_difference(unknown_before.theta, unknown_after.theta) > 1e-3);
  }
}

TEST_CASE("more batches: refused for a model without batches, and for none") {
  VaeOptions options = toy_options();
  options.n_batch = 0;
  CHECK_THROWS_WITH_AS(with_more_batches(toy_model(options), 1),
                       "the model was built without batches, and can learn of none", InvalidArgument);
  CHECK_THROWS_AS(with_more_batches(toy_model(toy_options()), 0), InvalidArgument);
}
