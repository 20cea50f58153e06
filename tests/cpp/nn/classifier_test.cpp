#include "core/nn/classifier.h"

#include <cmath>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

FullyConnectedOptions block_of(std::int64_t n_layers, double dropout_rate) {
  FullyConnectedOptions block;
  block.n_in = 5;
  block.n_out = block.n_hidden = 7;
  block.n_layers = n_layers;
  block.dropout_rate = dropout_rate;
  return block;
}

}  // namespace

TEST_CASE("classifier: logarithms of the softmax of a linear function of the block's output") {
  const at::NoGradGuard no_grad;
  for (const std::int64_t n_layers : {0, 1, 2}) {
    RandomStream random(1), unmoved(2), given(2);
    Classifier classifier(block_of(n_layers, /*dropout_rate=*/0.5), /*n_labels=*/4, random);
    scramble(*classifier);
    classifier->eval();
    const at::Tensor features = random.normal({11, 5}, c10::kCPU) * 2;
    const at::Tensor log_q = classifier->forward(features, given);

    torch::nn::Module whole;
    whole.register_module("it", classifier.ptr());
    const at::Tensor q = classifier_by_hand(live_state(whole), "it", features);
    CHECK(max_relative_difference(log_q, at::log(q)) < 1e-5);
    CHECK(max_difference(at::exp(log_q).sum(1), at::ones({11})) < 1e-6);
    CHECK(same_bits(given.normal({3}, c10::kCPU), unmoved.normal({3}, c10::kCPU)));  // no dropout in evaluation
  }
}

TEST_CASE("classifier: probabilities too small for a float still have a logarithm") {
  const at::NoGradGuard no_grad;
  RandomStream random(1);
  Classifier classifier(block_of(1, /*dropout_rate=*/0), /*n_labels=*/3, random);
  classifier->eval();
  const State state = live_state(*classifier);
  find(state, "classifier.1.weight").detach().zero_();
  find(state, "classifier.1.bias").detach().copy_(at::tensor({0.0F, -300.0F, 10.0F}));
  const double log_sum = std::log(1 + std::exp(10.0));
  const at::Tensor expected = at::tensor({-log_sum, -300 - log_sum, 10 - log_sum}, at::kDouble).repeat({4, 1});
  CHECK(max_relative_difference(classifier->forward(at::ones({4, 5}), random), expected) < 1e-6);
}

TEST_CASE("classifier: dropout in training, from the stream that is given") {
  const at::NoGradGuard no_grad;
  RandomStream random(1);
  Classifier classifier(block_of(1, /*dropout_rate=*/0.5), /*n_labels=*/3, random);
  const at::Tensor features = random.normal({20, 5}, c10::kCPU);
  RandomStream first(4), again(4), other(5);
  const at::Tensor log_q = classifier->forward(features, first);
  CHECK(same_bits(classifier->forward(features, again), log_q));
  CHECK(max_difference(classifier->forward(features, other), log_q) > 0.01);
}
