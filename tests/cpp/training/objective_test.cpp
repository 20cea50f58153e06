#include "core/training/objective.h"

#include <algorithm>
#include <cmath>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_cells = 18, n_latent = 3;
constexpr double kl_weight = 0.3;

struct Scene {
  explicit Scene(ModelType type)
      : toy(toy_data(n_cells)),
        minibatch(minibatch_of(*toy.dataset, cells_from(0, n_cells))),
        model(scrambled_model(toy_options_of(type))) {}

  // For known labels (copies 1) or each of three.
  Noise noise(std::int64_t copies) {
    const bool of_z1 = model->options().type == ModelType::scanvi;
    const std::int64_t n = of_z1 ? n_cells : copies * n_cells;
    return {normal(n, n_latent), normal(n, 1), of_z1 ? normal(copies * n_cells, n_latent) : at::Tensor()};
  }
  at::Tensor normal(std::int64_t n, std::int64_t width) { return random.normal({n, width}, c10::kCPU); }

  at::NoGradGuard no_grad;
  Toy toy;
  Minibatch minibatch;
  Vae model;
  RandomStream random{3};
};

double mean_of(const at::Tensor& per_cell) { return per_cell.to(at::kDouble).mean().item<double>(); }

}  // namespace

TEST_CASE("objective: with labels taken as known, the mean over cells, warm-up included") {
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    Scene scene(type);
    const Noise noise = scene.noise(/*copies=*/1);
    const LossTerms terms = scene.model->loss_terms(scene.minibatch, noise, scene.random);
    double expected = mean_of(terms.reconst_loss) + kl_weight * mean_of(terms.kl_z);
    expected += (has_classifier(type) ? kl_weight : 1) * mean_of(terms.kl_l);
    if (type == ModelType::scanvi) expected += mean_of(terms.kl_z1);
    const at::Tensor loss = labelled_loss(*scene.model, scene.minibatch, noise, kl_weight, scene.random);
    CHECK(loss.dim() == 0);
    CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("objective: with free bits each latent dimension's divergence counts at least so much") {
  Scene scene(ModelType::vae);
  const Noise noise = scene.noise(/*copies=*/1);
  const LossTerms terms = scene.model->loss_terms(scene.minibatch, noise, scene.random);
  const EncodedCells q = scene.model->encode(scene.minibatch.x, scene.minibatch, scene.random);
  const at::Tensor by_dimension = ((q.qz_v + q.qz_m.square() - 1 - at::log(q.qz_v)) / 2).to(at::kDouble).mean(0);
  const double least = by_dimension.min().item<double>(), most = by_dimension.max().item<double>();
  REQUIRE(least < most);
  for (const double floor : {0.0, least / 2, (least + most) / 2, 2 * most}) {
    double expected = mean_of(terms.reconst_loss) + mean_of(terms.kl_l);
    for (const double kl : values_of(by_dimension)) expected += kl_weight * std::max(kl, floor);
    const at::Tensor loss = labelled_loss(*scene.model, scene.minibatch, noise, kl_weight, scene.random, floor);
    CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-5));
  }
  Scene labelled(ModelType::vaec);
  const Noise of_labelled = labelled.noise(/*copies=*/1);
  CHECK_THROWS_WITH_AS(
      labelled_loss(*labelled.model, labelled.minibatch, of_labelled, kl_weight, labelled.random, /*free_bits=*/0.1),
      "free_bits is for models without a classifier", InvalidArgument);
}

TEST_CASE("objective: without labels, the mean over cells, warm-up included") {
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    Scene scene(type);
    const Noise noise = scene.noise(/*copies=*/3);
    const LossTerms terms = scene.model->unlabelled_loss_terms(scene.minibatch, noise, scene.random);
    double expected = mean_of(terms.reconst_loss) +
                      kl_weight * (mean_of(terms.kl_z) + mean_of(terms.kl_l) + mean_of(terms.kl_y));
    if (type == ModelType::scanvi) expected += mean_of(terms.kl_z1);
    const at::Tensor loss = unlabelled_loss(*scene.model, scene.minibatch, noise, kl_weight, scene.random);
    CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-5));
  }
  Scene scene(ModelType::vae);
  CHECK_THROWS_AS(unlabelled_loss(*scene.model, scene.minibatch, Noise(), 1, scene.random), InvalidArgument);
}

TEST_CASE("objective: the classifier's loss is the mean of -ln of the labels' probabilities, or of their softmax") {
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    Scene scene(type);
    const at::Tensor log_q = scene.model->classify(scene.minibatch.x, scene.minibatch, scene.random);
    const std::vector<double> q = values_of(at::exp(log_q));
    double once = 0, twice = 0;
    for (std::int64_t cell = 0; cell < n_cells; ++cell) {
      const double* row = q.data() + 3 * cell;
      const double at_label = row[scene.toy.dataset->label[cell]];
      once -= std::log(at_label) / n_cells;
      twice -= (at_label - std::log(std::exp(row[0]) + std::exp(row[1]) + std::exp(row[2]))) / n_cells;
    }
    const auto loss = [&](bool double_softmax) {
      return classification_loss(*scene.model, scene.minibatch, double_softmax, scene.random).item<double>();
    };
    CHECK(loss(false) == doctest::Approx(once).epsilon(1e-5));
    CHECK(loss(true) == doctest::Approx(twice).epsilon(1e-5));
  }
}
