#include "core/model/scanvi.h"

#include <cmath>

#include "core/base/errors.h"
#include "core/distributions/counts.h"
#include "gradients.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_cells = 12, n_latent = 3;

at::Tensor log_normal_by_hand(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& variance) {
  const at::Tensor d = (x - mean).to(at::kDouble), v = variance.to(at::kDouble);
  return (-d * d / (2 * v) - at::log(2 * std::acos(-1.0) * v) / 2).sum(1);
}

struct Scene {
  explicit Scene(const VaeOptions& options)
      : toy(toy_data(n_cells)),
        minibatch(minibatch_of(*toy.dataset, cells_from(0, n_cells))),
        model(scrambled_model(options)),
        state(live_state(*model)) {
    find(state, "y_prior").copy_(prior.unsqueeze(0));
  }

  ScanviImpl& scanvi() { return dynamic_cast<ScanviImpl&>(*model); }
  at::Tensor normal(std::int64_t n, std::int64_t width) { return random.normal({n, width}, c10::kCPU); }
  // For known labels, or for each of three labels.
  Noise noise(std::int64_t copies = 1) {
    return {normal(n_cells, n_latent), normal(n_cells, 1), normal(copies * n_cells, n_latent)};
  }

  // q(z2 | z1, y).
  GaussianParameters z2_by_hand(const at::Tensor& z1, const at::Tensor& label) const {
    const at::Tensor h = block_by_hand(state, "encoder_z2_z1.encoder", z1, one_hot_columns(label, 3));
    return {linear_by_hand(state, "encoder_z2_z1.mean_encoder", h),
            at::exp(linear_by_hand(state, "encoder_z2_z1.var_encoder", h)) + 1e-4};
  }

  // q(y | z1), groups included.
  at::Tensor q(const at::Tensor& z1) const {
    const at::Tensor within = classifier_by_hand(state, "classifier", z1);
    if (model->options().labels_groups.empty()) return within;
    const at::Tensor of_groups = classifier_by_hand(state, "classifier_groups", z1);
    const auto& groups = model->options().labels_groups;
    at::Tensor out = at::zeros_like(within);
    for (std::int64_t label = 0; label < 3; ++label) {
      at::Tensor share = at::zeros({z1.size(0)});
      for (std::int64_t other = 0; other < 3; ++other) {
        if (groups[other] == groups[label]) share = share + within.select(1, other);
      }
      out.select(1, label).copy_(of_groups.select(1, groups[label]) * within.select(1, label) / share);
    }
    return out;
  }

  Minibatch labelled(std::int64_t label) const {
    Minibatch out = minibatch;
    out.label = at::full({n_cells}, label, at::kLong);
    return out;
  }

  at::Tensor prior = at::tensor({0.5F, 0.3F, 0.2F});
  Toy toy;
  Minibatch minibatch;
  Vae model;
  State state;
  RandomStream random{2};
};

VaeOptions options_with(const std::vector<std::int64_t>& labels_groups = {}) {
  VaeOptions options = toy_options_of(ModelType::scanvi);
  options.n_layers = 2;
  options.dropout_rate = options.classifier.dropout_rate = 0;
  options.labels_groups = labels_groups;
  return options;
}

}  // namespace

TEST_CASE("scanvi: with known labels, each term of the loss written out") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with());
  const Minibatch& cells = scene.minibatch;
  const Noise noise = scene.noise();
  const LossTerms terms = scene.model->loss_terms(cells, noise, scene.random);

  // Neither the encoder nor the decoder of the counts sees labels.
  const at::Tensor input = at::log(1 + cells.x.dense());
  const at::Tensor h = block_by_hand(scene.state, "z_encoder.encoder", input, at::Tensor());
  const at::Tensor m1 = linear_by_hand(scene.state, "z_encoder.mean_encoder", h);
  const at::Tensor v1 = at::exp(linear_by_hand(scene.state, "z_encoder.var_encoder", h)) + 1e-4;
  const at::Tensor z1 = m1 + at::sqrt(v1) * noise.z;
  const at::Tensor h_l = block_by_hand(scene.state, "l_encoder.encoder", input, at::Tensor());
  const at::Tensor m_l = linear_by_hand(scene.state, "l_encoder.mean_encoder", h_l);
  const at::Tensor v_l = at::exp(linear_by_hand(scene.state, "l_encoder.var_encoder", h_l)) + 1e-4;
  const at::Tensor library = m_l + at::sqrt(v_l) * noise.library;
  const at::Tensor d =
      block_by_hand(scene.state, "decoder.px_decoder", z1, one_hot_columns(cells.batch_index, 2));
  const at::Tensor scale = at::softmax(linear_by_hand(scene.state, "decoder.px_scale_decoder.0", d), 1);
  const at::Tensor rate = at::exp(library) * scale;
  const at::Tensor theta = at::exp(find(scene.state, "px_r")).repeat({n_cells, 1});
  const at::Tensor dropout = linear_by_hand(scene.state, "decoder.px_dropout_decoder", d);
  const auto wide = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
  const at::Tensor log_p =
      log_probability(CountDistribution::zinb, wide(cells.x.dense()), wide(rate), wide(theta), wide(dropout));
  CHECK(max_relative_difference(terms.reconst_loss, -log_p.sum(1)) < 1e-5);
  const at::Tensor V = cells.local_l_var, distance = m_l - cells.local_l_mean;
  CHECK(max_relative_difference(terms.kl_l, (at::log(V / v_l) + (v_l + distance * distance) / V - 1).sum(1) / 2) <
        1e-5);

  const GaussianParameters q2 = scene.z2_by_hand(z1, cells.label);
  CHECK(max_relative_difference(
            terms.kl_z, (q2.variance + q2.mean * q2.mean - 1 - at::log(q2.variance)).sum(1) / 2) < 1e-5);
  const at::Tensor z2 = q2.mean + at::sqrt(q2.variance) * noise.z2;
  const at::Tensor h2 = block_by_hand(scene.state, "decoder_z1_z2.decoder", z2, one_hot_columns(cells.label, 3));
  const at::Tensor p_m = linear_by_hand(scene.state, "decoder_z1_z2.mean_decoder", h2);
  const at::Tensor p_v = at::exp(linear_by_hand(scene.state, "decoder_z1_z2.var_decoder", h2));
  const at::Tensor kl_z1 = log_normal_by_hand(z1, m1, v1) - log_normal_by_hand(z1, p_m, p_v);
  CHECK(max_relative_difference(terms.kl_z1, kl_z1) < 1e-4);
  CHECK_FALSE(terms.kl_y.defined());
  CHECK(max_relative_difference(terms.negative_elbo(), terms.reconst_loss + terms.kl_z + terms.kl_l + kl_z1) < 1e-4);
}

TEST_CASE("scanvi: q(z2 | z1, y) by hand, for a label of one's choice") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with());
  const at::Tensor z1 = scene.normal(n_cells, n_latent);
  for (const at::Tensor& label : {scene.minibatch.label, at::full({n_cells}, 2, at::kLong)}) {
    const GaussianParameters out = scene.scanvi().encode_z2(z1, label, scene.random);
    const GaussianParameters expected = scene.z2_by_hand(z1, label);
    CHECK(max_relative_difference(out.mean, expected.mean) < 1e-5);
    CHECK(max_relative_difference(out.variance, expected.variance) < 1e-5);
  }
}

TEST_CASE("scanvi: the networks of z2 have as many layers as those of z, and see the label in each") {
  using Shape = std::vector<std::int64_t>;
  for (const std::int64_t n_layers : {1, 2, 3}) {
    VaeOptions options = options_with();
    options.n_layers = n_layers;
    const State state = live_state(*toy_model(options));
    for (const std::string network : {"encoder_z2_z1.encoder", "decoder_z1_z2.decoder"}) {
      const std::string layers = network + ".fc_layers.Layer ";
      CHECK(find(state, layers + "0.0.weight").sizes() == Shape{8, 3 + 3});
      for (std::int64_t k = 1; k < n_layers; ++k) {
        CHECK(find(state, layers + std::to_string(k) + ".0.weight").sizes() == Shape{8, 8 + 3});
      }
      CHECK_THROWS(find(state, layers + std::to_string(n_layers) + ".0.weight"));
    }
  }
}

TEST_CASE("scanvi: the classifier looks at the mean of z1, with groups at the group first") {
  const at::NoGradGuard no_grad;
  for (const std::vector<std::int64_t>& groups :
       {std::vector<std::int64_t>{}, std::vector<std::int64_t>{1, 0, 1}, std::vector<std::int64_t>{0, 1, 2}}) {
    Scene scene(options_with(groups));
    const at::Tensor mean = scene.model->encode(scene.minibatch.x, {}, scene.random).qz_m;
    const at::Tensor q = at::exp(scene.model->classify(scene.minibatch.x, scene.minibatch, scene.random));
    CHECK(max_difference(q, scene.q(mean)) < 1e-5);
    CHECK(max_difference(q.sum(1), at::ones({n_cells})) < 1e-5);
  }
}

TEST_CASE("scanvi: the probabilities of a group's labels sum to the group's") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with({1, 0, 1}));
  const at::Tensor mean = scene.model->encode(scene.minibatch.x, {}, scene.random).qz_m;
  const at::Tensor q = at::exp(scene.model->classify(scene.minibatch.x, scene.minibatch, scene.random));
  const at::Tensor of_groups = classifier_by_hand(scene.state, "classifier_groups", mean);
  CHECK(max_difference(q.select(1, 1), of_groups.select(1, 0)) < 1e-5);
  CHECK(max_difference(q.select(1, 0) + q.select(1, 2), of_groups.select(1, 1)) < 1e-5);
}

TEST_CASE("scanvi: without labels, averages over the labels of the drawn z1, and a divergence of y") {
  const at::NoGradGuard no_grad;
  for (const std::vector<std::int64_t>& groups : {std::vector<std::int64_t>{}, std::vector<std::int64_t>{1, 0, 1}}) {
    Scene scene(options_with(groups));
    const Noise noise = scene.noise(/*copies=*/3);
    const LossTerms terms = scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random);

    const EncodedCells encoded = scene.model->encode(scene.minibatch.x, {}, scene.random);
    const at::Tensor q = scene.q(encoded.qz_m + at::sqrt(encoded.qz_v) * noise.z);
    at::Tensor kl_z = at::zeros({n_cells}), kl_z1 = at::zeros({n_cells});
    for (std::int64_t label = 0; label < 3; ++label) {
      const Noise part = {noise.z, noise.library, noise.z2.narrow(0, label * n_cells, n_cells)};
      const LossTerms known = scene.model->loss_terms(scene.labelled(label), part, scene.random);
      kl_z += q.select(1, label) * known.kl_z;
      kl_z1 += q.select(1, label) * known.kl_z1;
      CHECK(same_bits(known.reconst_loss, terms.reconst_loss));
      CHECK(same_bits(known.kl_l, terms.kl_l));
    }
    CHECK(max_relative_difference(terms.kl_z, kl_z) < 1e-5);
    CHECK(max_relative_difference(terms.kl_z1, kl_z1) < 1e-4);
    CHECK(max_difference(terms.kl_y, (q * at::log(q / scene.prior)).sum(1)) < 1e-5);
  }
}

TEST_CASE("scanvi: the loss without labels does not look at them, nor needs them; the one with them does") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with());
  const Noise noise = scene.noise(/*copies=*/3);
  const at::Tensor expected = scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random).negative_elbo();
  for (const at::Tensor& label : {at::full({n_cells}, -1, at::kLong), at::Tensor()}) {
    scene.minibatch.label = label;
    const LossTerms terms = scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random);
    CHECK(same_bits(terms.negative_elbo(), expected));
  }
  CHECK_THROWS_WITH_AS(scene.model->loss_terms(scene.minibatch, scene.noise(), scene.random),
                       "y is needed: the labels of the cells were not given", InvalidArgument);
}

TEST_CASE("scanvi: noise of z2 has a row for each label and cell where labels are not known") {
  const at::NoGradGuard no_grad;
  Scene scene(options_with());
  CHECK_THROWS_WITH_AS(scene.model->unlabelled_loss_terms(scene.minibatch, scene.noise(), scene.random),
                       "noise$z2 must be 36 x 3, not 12 x 3", InvalidArgument);
  CHECK_THROWS_WITH_AS(scene.model->loss_terms(scene.minibatch, scene.noise(3), scene.random),
                       "noise$z2 must be 12 x 3, not 36 x 3", InvalidArgument);
}

TEST_CASE("scanvi: dropout is in the encoder of z2, and not in the decoder of z1") {
  const at::NoGradGuard no_grad;
  VaeOptions options = options_with();
  options.dropout_rate = 0.5;
  Scene scene(options);
  scene.model->train();
  RandomStream a(1), b(2);
  const at::Tensor z1 = scene.normal(n_cells, n_latent), label = scene.minibatch.label;
  const at::Tensor mean = scene.scanvi().encode_z2(z1, label, a).mean;
  CHECK(max_difference(scene.scanvi().encode_z2(z1, label, b).mean, mean) > 1e-3);

  for (const auto& child : scene.model->named_children()) {
    if (child.key() != "decoder_z1_z2") continue;
    auto& decoder = dynamic_cast<GaussianDecoderImpl&>(*child.value());
    CHECK(same_bits(decoder.forward(z1, {{label}}, a).mean, decoder.forward(z1, {{label}}, b).mean));
  }
}

TEST_CASE("scanvi: gradients are those of finite differences") {
  for (const std::vector<std::int64_t>& groups : {std::vector<std::int64_t>{}, std::vector<std::int64_t>{1, 0, 1}}) {
    Scene scene(options_with(groups));
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
}
