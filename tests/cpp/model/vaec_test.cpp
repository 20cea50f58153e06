#include "core/model/vaec.h"

#include "core/base/errors.h"
#include "core/distributions/counts.h"
#include "gradients.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_cells = 12, n_latent = 3;

struct Scene {
  explicit Scene(const VaeOptions& options)
      : toy(toy_data(n_cells)),
        minibatch(minibatch_of(*toy.dataset, cells_from(0, n_cells))),
        model(scrambled_model(options)),
        state(live_state(*model)) {}

  at::Tensor normal(std::int64_t n, std::int64_t width) { return random.normal({n, width}, c10::kCPU); }
  Noise noise(std::int64_t copies = 1) {
    return {normal(copies * n_cells, n_latent), normal(copies * n_cells, 1), at::Tensor()};
  }
  at::Tensor q() const { return classifier_by_hand(state, "classifier", at::log(1 + minibatch.x.dense())); }

  // The same cells, as if all had this label.
  Minibatch labelled(std::int64_t label) const {
    Minibatch out = minibatch;
    out.label = at::full({n_cells}, label, at::kLong);
    return out;
  }

  Toy toy;
  Minibatch minibatch;
  Vae model;
  State state;
  RandomStream random{2};
};

VaeOptions options_with(Dispersion dispersion) {
  VaeOptions options = toy_options_of(ModelType::vaec);
  options.dispersion = dispersion;
  options.n_layers = 2;
  options.dropout_rate = options.classifier.dropout_rate = 0;
  return options;
}

}  // namespace

TEST_CASE("vaec: the encoder of z and the decoder see the label, in every layer; the library's does not") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with(Dispersion::gene_cell));
  const at::Tensor& x = scene.minibatch.x.dense();
  for (const at::Tensor& label : {scene.minibatch.label, at::full({n_cells}, 1, at::kLong)}) {
    const EncodedCells q = scene.model->encode(x, {at::Tensor(), label}, scene.random);
    const at::Tensor columns = one_hot_columns(label, 3), input = at::log(1 + x);
    const at::Tensor h = block_by_hand(scene.state, "z_encoder.encoder", input, columns);
    CHECK(max_relative_difference(q.qz_m, linear_by_hand(scene.state, "z_encoder.mean_encoder", h)) < 1e-5);
    const at::Tensor h_l = block_by_hand(scene.state, "l_encoder.encoder", input, at::Tensor());
    CHECK(max_relative_difference(q.ql_m, linear_by_hand(scene.state, "l_encoder.mean_encoder", h_l)) < 1e-5);

    const LatentDraw drawn = scene.model->draw(q, std::nullopt, scene.noise(), scene.random);
    const CountParameters out =
        scene.model->decode(drawn, {scene.minibatch.batch_index, label}, /*want_dropout=*/true, scene.random);
    const at::Tensor both = at::cat({one_hot_columns(scene.minibatch.batch_index, 2), columns}, 1);
    const at::Tensor d = block_by_hand(scene.state, "decoder.px_decoder", drawn.z, both);
    const at::Tensor scale = at::softmax(linear_by_hand(scene.state, "decoder.px_scale_decoder.0", d), 1);
    CHECK(max_relative_difference(out.px_scale, scale) < 1e-6);
    CHECK(max_relative_difference(out.px_r, at::exp(linear_by_hand(scene.state, "decoder.px_r_decoder", d))) < 1e-5);
  }
}

TEST_CASE("vaec: the classifier sees ln(1 + x), whatever the encoders see") {
  const at::NoGradGuard no_grad;
  for (const bool log_variational : {true, false}) {
    VaeOptions options = options_with(Dispersion::gene);
    options.log_variational = log_variational;
    Scene scene(options);
    const at::Tensor log_q = scene.model->classify(scene.minibatch.x, scene.minibatch, scene.random);
    CHECK(max_difference(at::exp(log_q), scene.q()) < 1e-6);
  }
}

TEST_CASE("vaec: the loss without labels is the average over labels of the loss with each, and a divergence of y") {
  const at::NoGradGuard no_grad;
  for (const Dispersion dispersion :
       {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    for (const auto loss : {ReconstructionLoss::zinb, ReconstructionLoss::nb}) {
      VaeOptions options = options_with(dispersion);
      options.reconstruction_loss = loss;
      Scene scene(options);
      find(scene.state, "y_prior").copy_(at::tensor({0.5F, 0.3F, 0.2F}).unsqueeze(0));
      const Noise noise = scene.noise(/*copies=*/3);
      const LossTerms terms = scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random);
      const at::Tensor q = scene.q();
      at::Tensor reconst = at::zeros({n_cells}), kl_z = at::zeros({n_cells}), kl_l;
      for (std::int64_t label = 0; label < 3; ++label) {
        const LossTerms known =
            scene.model->loss_terms(scene.labelled(label), slice(noise, label * n_cells, n_cells), scene.random);
        reconst += q.select(1, label) * known.reconst_loss;
        kl_z += q.select(1, label) * known.kl_z;
        kl_l = known.kl_l;
        CHECK_FALSE(known.kl_y.defined());
        CHECK_FALSE(known.kl_z1.defined());
      }
      CHECK(max_relative_difference(terms.reconst_loss, reconst) < 1e-5);
      CHECK(max_relative_difference(terms.kl_z, kl_z) < 1e-5);
      CHECK(max_relative_difference(terms.kl_l, kl_l) < 1e-5);
      const at::Tensor prior = at::tensor({0.5F, 0.3F, 0.2F});
      CHECK(max_difference(terms.kl_y, (q * at::log(q / prior)).sum(1)) < 1e-5);
      CHECK_FALSE(terms.kl_z1.defined());
    }
  }
}

TEST_CASE("vaec: the loss without labels does not look at them, nor needs them") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with(Dispersion::gene_label));
  const Noise noise = scene.noise(/*copies=*/3);
  const at::Tensor expected =
      scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random).negative_elbo();
  for (const at::Tensor& label : {at::Tensor(), at::full({n_cells}, -1, at::kLong)}) {
    scene.minibatch.label = label;
    const LossTerms terms = scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random);
    CHECK(same_bits(terms.negative_elbo(), expected));
  }
  CHECK_THROWS_AS(scene.model->unlabelled_loss_terms(scene.minibatch, scene.noise(), scene.random), InvalidArgument);
}

TEST_CASE("vaec: labels encoded twice give every cell the first two labels' dispersion, in the loss alone") {
  const at::NoGradGuard no_grad;
  VaeOptions options = options_with(Dispersion::gene_label);
  options.encode_labels_twice = true;
  Scene scene(options);
  const Minibatch& cells = scene.minibatch;
  const Noise noise = scene.noise();
  const LossTerms terms = scene.model->loss_terms(cells, noise, scene.random);

  const EncodedCells q = scene.model->encode(cells.x, cells, scene.random);
  const LatentDraw drawn = scene.model->draw(q, std::nullopt, noise, scene.random);
  const CountParameters out =
      scene.model->decode(drawn, cells, /*want_dropout=*/true, scene.random);
  const at::Tensor px_r = find(scene.state, "px_r");
  CHECK(max_relative_difference(out.px_r, at::exp(one_hot_columns(cells.label, 3).matmul(px_r.t()))) < 1e-6);
  const auto wide = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
  const at::Tensor theta = wide(at::exp(px_r.select(1, 0) + px_r.select(1, 1))).repeat({n_cells, 1});
  const at::Tensor log_p = log_probability(CountDistribution::zinb, wide(cells.x.dense()), wide(out.px_rate), theta,
                                           wide(out.px_dropout));
  CHECK(max_relative_difference(terms.reconst_loss, -log_p.sum(1)) < 1e-5);
}

TEST_CASE("vaec: an error within the loss leaves nothing behind") {
  const at::NoGradGuard no_grad;
  VaeOptions options = options_with(Dispersion::gene_label);
  options.encode_labels_twice = true;
  Scene scene(options);
  const auto theta = [&] {
    const Minibatch& cells = scene.minibatch;
    const EncodedCells q = scene.model->encode(cells.x, cells, scene.random);
    const LatentDraw drawn = scene.model->draw(q, std::nullopt, Noise(), scene.random);
    return scene.model->decode(drawn, cells, /*want_dropout=*/false, scene.random).px_r;
  };
  const at::Tensor before = theta();
  Noise wrong;
  wrong.z = at::zeros({2, 2});
  CHECK_THROWS_AS(scene.model->loss_terms(scene.minibatch, wrong, scene.random), InvalidArgument);
  CHECK_THROWS_AS(scene.model->unlabelled_loss_terms(scene.minibatch, wrong, scene.random), InvalidArgument);
  CHECK(same_bits(theta(), before));
}

TEST_CASE("vaec: gradients are those of finite differences") {
  Scene scene(options_with(Dispersion::gene_label));
  scene.model->to(at::kDouble);
  const Minibatch minibatch = as_double(scene.minibatch);
  for (const bool training : {false, true}) {
    scene.model->train(training);
    const Noise one = scene.noise(), each = scene.noise(/*copies=*/3);
    CHECK(largest_gradient_error(*scene.model, [&] {
            return scene.model->objective(scene.model->loss_terms(minibatch, one, scene.random), 0.7).mean();
          }) < 1e-5);
    CHECK(largest_gradient_error(*scene.model, [&] {
            const LossTerms terms = scene.model->unlabelled_loss_terms(minibatch, each, scene.random);
            return scene.model->objective(terms, 0.7).mean();
          }) < 1e-5);
  }
}
