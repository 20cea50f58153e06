#include "core/posterior/annotation.h"

#include <cmath>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

const ModelType labelled_types[] = {ModelType::vaec, ModelType::scanvi};

// q(y | x) of every cell of the toy.
at::Tensor by_hand(const Vae& model, const Toy& toy) {
  const State state = live_state(*model);
  const at::Tensor input = at::log(1 + toy.x);
  if (model->options().type == ModelType::vaec) return classifier_by_hand(state, "classifier", input);
  const at::Tensor h = block_by_hand(state, "z_encoder.encoder", input, at::Tensor());
  return classifier_by_hand(state, "classifier", linear_by_hand(state, "z_encoder.mean_encoder", h));
}

// The classifier's bias is such that the toy's cells differ in their most probable label.
Vae annotating_model(const VaeOptions& options, const Toy& toy) {
  const at::NoGradGuard no_grad;
  Vae model = scrambled_model(options);
  find(live_state(*model), "classifier.classifier.1.bias").sub_(at::log(by_hand(model, toy)).mean(0));
  const at::Tensor best = by_hand(model, toy).argmax(1);
  REQUIRE((best != best[0]).any().item<bool>());
  return model;
}

}  // namespace

TEST_CASE("annotation: probabilities of labels in the order of the cells, whatever the minibatches and labels") {
  const at::NoGradGuard no_grad;
  for (const ModelType type : labelled_types) {
    const Toy toy = toy_data();
    const Vae model = annotating_model(toy_options_of(type), toy);
    const at::Tensor expected = by_hand(model, toy);
    Posterior posterior = posterior_of(model, toy, /*batch_size=*/7);
    CHECK(max_difference(label_probabilities(posterior), expected) < 1e-5);
    toy.dataset->label.assign(60, -1);
    posterior.cells = {5, 59, 5, 0};
    CHECK(max_difference(label_probabilities(posterior), expected.index_select(0, at::tensor(posterior.cells))) < 1e-5);
  }
}

TEST_CASE("annotation: without dropout, and the model's mode comes back") {
  for (const ModelType type : labelled_types) {
    const Toy toy = toy_data();
    VaeOptions options = toy_options_of(type);
    options.dropout_rate = options.classifier.dropout_rate = 0.9;
    Vae model = annotating_model(options, toy);
    model->train();
    const State before = copy_state(*model);
    const Posterior posterior = posterior_of(model, toy);
    CHECK(max_difference(label_probabilities(posterior), by_hand(model, toy)) < 1e-5);
    CHECK_FALSE(label_probabilities(posterior).requires_grad());
    CHECK(model->is_training());
    CHECK(same_bits(live_state(*model), before));
  }
}

TEST_CASE("annotation: accuracy is the share of right cells among those with a label") {
  const at::NoGradGuard no_grad;
  for (const ModelType type : labelled_types) {
    const Toy toy = toy_data();
    const Vae model = annotating_model(toy_options_of(type), toy);
    const at::Tensor q = by_hand(model, toy);
    std::vector<std::int64_t>& label = toy.dataset->label;
    int n_right = 0, n_known = 0;
    for (std::int64_t cell = 0; cell < 60; ++cell) {
      if (cell % 4 == 1) {
        label[cell] = -1;
        continue;
      }
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < 3; ++k) {
        if (q[cell][k].item<float>() > q[cell][best].item<float>()) best = k;
      }
      n_right += best == label[cell] ? 1 : 0;
      ++n_known;
    }
    Posterior posterior = posterior_of(model, toy, /*batch_size=*/16);
    CHECK(n_right > 0);
    CHECK(n_right < n_known);
    CHECK(accuracy(posterior) == doctest::Approx(static_cast<double>(n_right) / n_known));

    posterior.cells = {1, 5, 9};  // no label among them
    CHECK(std::isnan(accuracy(posterior)));
    posterior.cells = {};
    CHECK(std::isnan(accuracy(posterior)));
  }
}

TEST_CASE("annotation: no classifier, no labels") {
  const Toy toy = toy_data();
  const Posterior posterior = posterior_of(toy_model(toy_options()), toy);
  const char* message = "this model predicts no labels: it has no classifier";
  CHECK_THROWS_WITH_AS(label_probabilities(posterior), message, InvalidArgument);
  CHECK_THROWS_WITH_AS(accuracy(posterior), message, InvalidArgument);
}

TEST_CASE("posterior: cells without a label get the most probable one, the others keep theirs") {
  const at::NoGradGuard no_grad;
  for (const ModelType type : labelled_types) {
    const Toy toy = toy_data();
    const Vae model = annotating_model(toy_options_of(type), toy);
    const at::Tensor best = by_hand(model, toy).argmax(1);
    std::vector<std::int64_t> expected = toy.dataset->label;
    for (std::int64_t cell = 0; cell < 60; cell += 3) {
      toy.dataset->label[cell] = -1;
      expected[cell] = best[cell].item<std::int64_t>();
    }
    std::vector<at::Tensor> labels;
    for_each_minibatch(posterior_of(model, toy, /*batch_size=*/25),
                       [&](const Minibatch& minibatch, std::int64_t) { labels.push_back(minibatch.label); });
    CHECK(same_bits(at::cat(labels), at::tensor(expected)));
    CHECK(toy.dataset->label[0] == -1);  // the data set is left alone
  }
}

TEST_CASE("posterior: a model without a classifier leaves a missing label missing") {
  const Toy toy = toy_data();
  toy.dataset->label[4] = -1;
  for (const ModelType type : {ModelType::vae, ModelType::ldvae}) {
    Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(0, 10));
    const at::Tensor before = minibatch.label.clone();
    fill_in_labels(toy_model(toy_options_of(type)), minibatch);
    CHECK(same_bits(minibatch.label, before));
    minibatch.label = at::Tensor();
    CHECK_NOTHROW(fill_in_labels(toy_model(toy_options_of(type)), minibatch));
  }
}
