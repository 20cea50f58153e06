#include "core/model/labelled_vae.h"

#include <cmath>

#include "core/base/errors.h"
#include "core/model/scanvi.h"
#include "core/model/vaec.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

const ModelType labelled_types[] = {ModelType::vaec, ModelType::scanvi};

at::Tensor filled(float value) { return at::full({4}, value, at::kFloat); }


}  // namespace

TEST_CASE("labelled vae: labels come in blocks, each cell once in each") {
  CHECK(same_bits(every_label(3, 2, c10::kCPU), at::tensor({0, 0, 1, 1, 2, 2}, at::kLong)));
}

TEST_CASE("labelled vae: an average over the labels of a cell") {
  const at::Tensor values = at::tensor({1.0F, 2.0F, 10.0F, 20.0F, 100.0F, 200.0F});  // cells 1, 2 with labels 0, 1, 2
  const at::Tensor q = matrix(2, {0.5F, 0.25F, 0.25F, 0.0F, 1.0F, 0.0F});
  CHECK(same_bits(average_over_labels(values, q), at::tensor({28.0F, 20.0F})));
}

TEST_CASE("labelled vae: the warm-up weighs the divergences of z, l and y, but not SCANVI's term of z1") {
  for (const ModelType type : labelled_types) {
    const Vae model = toy_model(toy_options_of(type));
    LossTerms terms;
    terms.reconst_loss = filled(1000);
    terms.kl_z = filled(100);
    terms.kl_l = filled(10);
    CHECK(same_bits(model->objective(terms, 0.5), filled(1000 + 55)));
    terms.kl_y = filled(1);
    CHECK(same_bits(model->objective(terms, 0.5), filled(1000 + 55.5F)));
    terms.kl_z1 = filled(2000);
    CHECK(same_bits(model->objective(terms, 0.5), filled(3000 + 55.5F)));
    CHECK(same_bits(model->objective(terms, 0), filled(3000)));
    CHECK(same_bits(terms.negative_elbo(), filled(3111)));
    CHECK(same_bits(model->objective(terms, 1), terms.negative_elbo()));
  }
}

TEST_CASE("labelled vae: a VAE's warm-up weighs the divergence of z alone") {
  LossTerms terms;
  terms.reconst_loss = filled(1000);
  terms.kl_z = filled(100);
  terms.kl_l = filled(10);
  CHECK(same_bits(toy_model(toy_options())->objective(terms, 0.5), filled(1000 + 50 + 10)));
}

TEST_CASE("labelled vae: the divergence from the labels' prior, which is uniform unless given") {
  const at::NoGradGuard no_grad;
  const Toy toy = toy_data(24);
  const Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(0, 24));
  for (const std::vector<double>& prior : {std::vector<double>{}, std::vector<double>{0.7, 0.2, 0.1}}) {
    VaeOptions options = toy_options_of(ModelType::vaec);
    options.y_prior = prior;
    Vae model = scrambled_model(options);
    const State state = live_state(*model);
    const at::Tensor p = prior.empty() ? at::full({1, 3}, 1 / 3.0) : at::tensor(prior, at::kFloat).unsqueeze(0);
    find(state, "y_prior").copy_(p);  // scrambling moved it
    RandomStream random(1);
    const LossTerms terms = model->unlabelled_loss_terms(minibatch, Noise(), random);
    const at::Tensor q = classifier_by_hand(state, "classifier", at::log(1 + minibatch.x.dense())).to(at::kDouble);
    CHECK(max_relative_difference(terms.kl_y, (q * at::log(q / p)).sum(1)) < 1e-5);
    CHECK(terms.kl_y.min().item<double>() > 0);
    CHECK(max_difference(find(live_state(*toy_model(options)), "y_prior"), p) < 1e-7);
  }
}

TEST_CASE("labelled vae: the prior of labels is kept with the weights, and no step of training moves it") {
  for (const ModelType type : labelled_types) {
    const Vae model = toy_model(toy_options_of(type));
    CHECK(find(live_state(*model), "y_prior").numel() == 3);
    for (const auto& item : model->named_parameters()) CHECK(item.key() != "y_prior");
  }
}

TEST_CASE("labelled vae: the classifier's settings are its own") {
  VaeOptions options = toy_options_of(ModelType::scanvi);
  options.n_layers = 1;
  options.classifier.n_layers = 2;
  options.classifier.n_hidden = 5;
  const State state = live_state(*toy_model(options));
  const auto shape = [&](const std::string& name) { return find(state, name).sizes().vec(); };
  using Shape = std::vector<std::int64_t>;
  CHECK(shape("classifier.classifier.0.fc_layers.Layer 0.0.weight") == Shape{5, 3});
  CHECK(shape("classifier.classifier.0.fc_layers.Layer 1.0.weight") == Shape{5, 5});
  CHECK(shape("classifier.classifier.1.weight") == Shape{3, 5});
  CHECK(shape("z_encoder.encoder.fc_layers.Layer 0.0.weight") == Shape{8, 12});

  const Toy toy = toy_data(24);
  const at::NoGradGuard no_grad;
  for (const double dropout_rate : {0.0, 0.5}) {
    for (const ModelType type : labelled_types) {
      VaeOptions dropping = toy_options_of(type);
      dropping.dropout_rate = 0;
      dropping.classifier.dropout_rate = dropout_rate;
      Vae model = toy_model(dropping);
      RandomStream first(1), second(2);
      const double difference = max_difference(model->classify(toy.x, {}, first), model->classify(toy.x, {}, second));
      CHECK((difference > 1e-3) == (dropout_rate > 0));
    }
  }
}

TEST_CASE("labelled vae: models without a classifier say so") {
  const Toy toy = toy_data(6);
  const Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(0, 6));
  const char* message = "this model predicts no labels: it has no classifier";
  for (const ModelType type : {ModelType::vae, ModelType::ldvae}) {
    Vae model = toy_model(toy_options_of(type));
    RandomStream random(1);
    CHECK_THROWS_WITH_AS(model->classify(minibatch.x, minibatch, random), message, InvalidArgument);
    CHECK_THROWS_WITH_AS(model->unlabelled_loss_terms(minibatch, Noise(), random), message, InvalidArgument);
  }
}
