// One optimiser step per minibatch, against Adam (Kingma & Ba 2015, algorithm 1) written out.
#include <cmath>

#include "core/base/errors.h"
#include "core/training/fit_minibatches.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

struct Scene {
  Scene() : toy(toy_data()) {
    VaeOptions options = toy_options();
    options.dropout_rate = 0;  // with given noise nothing is random then
    model = toy_model(options);
    twin = toy_model(options);
    for (const std::int64_t start : {0, 20}) {
      minibatches.push_back(minibatch_of(*toy.dataset, cells_from(start, start + 20)));
      noise.push_back({random.normal({20, 3}, c10::kCPU), random.normal({20, 1}, c10::kCPU)});
    }
  }

  // The loss of minibatch k on the twin, and its gradients in the twin's parameters.
  double loss_on_twin(std::size_t k, double kl_weight) {
    twin->train();
    twin->zero_grad();
    const LossTerms terms = twin->loss_terms(minibatches[k], noise[k], random);
    const at::Tensor loss = (terms.reconst_loss + terms.kl_l + kl_weight * terms.kl_z).mean();
    loss.backward();
    return loss.item<double>();
  }

  Toy toy;
  RandomStream random{4};
  Vae model{nullptr}, twin{nullptr};
  std::vector<Minibatch> minibatches;
  std::vector<Noise> noise;
};

}  // namespace

TEST_CASE("fit minibatches: two steps are two steps of Adam, with L2 in the gradient and eps outside the root") {
  constexpr double lr = 0.02, eps = 0.01, weight_decay = 0.3, kl_weight = 0.7, beta1 = 0.9, beta2 = 0.999;
  Scene scene;
  OptimiserOptions options;
  options.lr = lr;
  options.eps = eps;
  options.weight_decay = weight_decay;
  const std::vector<double> losses =
      fit_minibatches(scene.model, scene.minibatches, scene.noise, kl_weight, {}, options, scene.random);
  REQUIRE(losses.size() == 2);

  std::vector<at::Tensor> m, v;
  for (int t = 1; t <= 2; ++t) {
    CHECK(losses[t - 1] == doctest::Approx(scene.loss_on_twin(t - 1, kl_weight)).epsilon(1e-6));
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> parameters = scene.twin->parameters();
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      if (t == 1) {
        m.push_back(at::zeros_like(parameters[p]));
        v.push_back(at::zeros_like(parameters[p]));
      }
      if (!parameters[p].grad().defined()) continue;
      const at::Tensor gradient = parameters[p].grad() + weight_decay * parameters[p];
      m[p] = beta1 * m[p] + (1 - beta1) * gradient;
      v[p] = beta2 * v[p] + (1 - beta2) * gradient * gradient;
      const at::Tensor m_hat = m[p] / (1 - std::pow(beta1, t)), v_hat = v[p] / (1 - std::pow(beta2, t));
      at::Tensor(parameters[p]).sub_(lr * m_hat / (at::sqrt(v_hat) + eps));
    }
  }
  const State fitted = live_state(*scene.model), expected = live_state(*scene.twin);
  for (const auto& item : expected) {
    CAPTURE(item.first);
    // A bias before batch normalisation has no gradient but rounding, which Adam makes larger by lr / eps.
    CHECK(max_difference(find(fitted, item.first), item.second) < 1e-5);
  }
}

TEST_CASE("fit minibatches: what the loss does not reach is not even decayed") {
  Scene scene;
  const State before = copy_state(*scene.model);
  OptimiserOptions options;
  options.weight_decay = 0.5;
  fit_minibatches(scene.model, scene.minibatches, scene.noise, 1, {}, options, scene.random);
  const State after = live_state(*scene.model);
  CHECK(same_bits(find(after, "decoder.px_r_decoder.weight"), find(before, "decoder.px_r_decoder.weight")));
  CHECK_FALSE(same_bits(find(after, "px_r"), find(before, "px_r")));
  CHECK_FALSE(scene.model->is_training());
}

TEST_CASE("fit minibatches: the KL weight multiplies the divergence of z, not that of the library") {
  const auto first_loss = [](double kl_weight) {
    Scene scene;
    const OptimiserOptions options;
    return fit_minibatches(scene.model, scene.minibatches, scene.noise, kl_weight, {}, options, scene.random)[0];
  };
  Scene scene;
  scene.model->train();
  const LossTerms terms = scene.model->loss_terms(scene.minibatches[0], scene.noise[0], scene.random);
  CHECK(first_loss(0) == doctest::Approx((terms.reconst_loss + terms.kl_l).mean().item<double>()).epsilon(1e-6));
  CHECK(first_loss(1) - first_loss(0) == doctest::Approx(terms.kl_z.mean().item<double>()).epsilon(1e-4));
}

TEST_CASE("fit minibatches: no minibatches, no change") {
  Scene scene;
  const State before = copy_state(*scene.model);
  CHECK(fit_minibatches(scene.model, {}, {}, 1, {}, OptimiserOptions(), scene.random).empty());
  CHECK(same_bits(live_state(*scene.model), before));
}

namespace {

// Cells 0-19 for a model with a classifier; `noise` for each of three labels.
struct LabelledScene {
  explicit LabelledScene(ModelType type) : toy(toy_data()), minibatch(minibatch_of(*toy.dataset, cells_from(0, 20))) {
    VaeOptions options = toy_options_of(type);
    options.dropout_rate = options.classifier.dropout_rate = 0;
    model = toy_model(options);
    twin = toy_model(options);
    const bool of_z1 = type == ModelType::scanvi;
    const auto normal = [&](std::int64_t n, std::int64_t width) { return random.normal({n, width}, c10::kCPU); };
    noise.z = normal(of_z1 ? 20 : 60, 3);
    noise.library = normal(of_z1 ? 20 : 60, 1);
    if (of_z1) noise.z2 = normal(60, 3);
  }

  double first_loss(const ClassificationOptions& classification) {
    return fit_minibatches(model, {minibatch}, {noise}, kl_weight, classification, OptimiserOptions(), random)[0];
  }

  static constexpr double kl_weight = 0.4;
  Toy toy;
  RandomStream random{4};
  Minibatch minibatch;
  Vae model{nullptr}, twin{nullptr};
  Noise noise;
};

}  // namespace

TEST_CASE("fit minibatches: the loss without labels, plus ratio times the classifier's where there are labels") {
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    const auto first_loss = [&](double ratio, bool double_softmax, bool with_labels) {
      LabelledScene scene(type);
      if (!with_labels) scene.minibatch.label = at::Tensor();
      ClassificationOptions classification;
      classification.ratio = ratio;
      classification.double_softmax = double_softmax;
      return scene.first_loss(classification);
    };
    LabelledScene scene(type);
    scene.twin->train();
    const LossTerms terms = scene.twin->unlabelled_loss_terms(scene.minibatch, scene.noise, scene.random);
    at::Tensor per_cell = terms.reconst_loss + scene.kl_weight * (terms.kl_z + terms.kl_l + terms.kl_y);
    if (terms.kl_z1.defined()) per_cell = per_cell + terms.kl_z1;
    const auto without = per_cell.mean().item<double>();
    // SCANVI's encoder moved its running statistics above, which training mode does not look at.
    const at::Tensor q = at::exp(scene.twin->classify(scene.minibatch.x, scene.minibatch, scene.random));
    const at::Tensor at_label = one_hot_columns(scene.minibatch.label, 3);
    const auto once = -at::log((q * at_label).sum(1)).mean().item<double>();
    const auto twice = -at::log((at::softmax(q, 1) * at_label).sum(1)).mean().item<double>();
    CHECK(first_loss(0, false, true) == doctest::Approx(without).epsilon(1e-5));
    CHECK(first_loss(5, false, false) == doctest::Approx(without).epsilon(1e-5));
    CHECK(first_loss(5, false, true) == doctest::Approx(without + 5 * once).epsilon(1e-5));
    CHECK(first_loss(5, true, true) == doctest::Approx(without + 5 * twice).epsilon(1e-5));
  }
}

TEST_CASE("fit minibatches: without labels or without weight, the labels' values do not matter") {
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    const auto fitted = [&](double ratio, std::optional<std::int64_t> label) {
      LabelledScene scene(type);
      scene.minibatch.label = label ? at::full({20}, *label, at::kLong) : at::Tensor();
      ClassificationOptions classification;
      classification.ratio = ratio;
      scene.first_loss(classification);
      CHECK_FALSE(scene.model->is_training());
      return copy_state(*scene.model);
    };
    CHECK(same_bits(fitted(0, 1), fitted(0, 2)));
    CHECK(same_bits(fitted(0, 1), fitted(1, std::nullopt)));  // running statistics included
    CHECK_FALSE(same_bits(fitted(1, 1), fitted(1, 2)));
  }
}

TEST_CASE("fit minibatches: weights that are lost are an error") {
  Scene scene;
  OptimiserOptions options;
  options.lr = 1e30;
  CHECK_THROWS_WITH_AS(fit_minibatches(scene.model, scene.minibatches, scene.noise, 1, {}, options, scene.random),
                       "the weights are no longer finite; use a lower learning rate", Diverged);
}
