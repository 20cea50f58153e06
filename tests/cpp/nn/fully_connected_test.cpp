#include "core/nn/fully_connected.h"

#include <cmath>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

FullyConnected make_block(const FullyConnectedOptions& options, std::uint64_t seed = 1) {
  RandomStream random(seed);
  return FullyConnected(options, random);
}

FullyConnectedOptions small_options() {
  FullyConnectedOptions options;
  options.n_in = 4;
  options.n_out = 5;
  options.n_hidden = 6;
  return options;
}

at::Tensor cells(std::int64_t n, std::int64_t n_features) {
  return RandomStream(77).normal({n, n_features}, c10::kCPU) * 2 + 0.5;
}

std::vector<std::string> layer_names(int n_layers) {
  std::vector<std::string> names;
  for (int i = 0; i < n_layers; ++i) {
    const std::string layer = "fc_layers.Layer " + std::to_string(i);
    for (const char* of_linear : {".0.weight", ".0.bias"}) names.push_back(layer + of_linear);
    for (const char* of_batch_norm :
         {".1.weight", ".1.bias", ".1.running_mean", ".1.running_var", ".1.num_batches_tracked"}) {
      names.push_back(layer + of_batch_norm);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("fully connected: names and sizes of one to three layers are those of scvi 0.6.8") {
  for (int n_layers = 1; n_layers <= 3; ++n_layers) {
    FullyConnectedOptions options = small_options();
    options.n_layers = n_layers;
    options.covariates.n_categories = {3, 1, 0, 2};  // 3 + 2 columns in every layer
    const State state = live_state(*make_block(options));
    CHECK(names_of(state) == layer_names(n_layers));
    for (int i = 0; i < n_layers; ++i) {
      const std::string layer = "fc_layers.Layer " + std::to_string(i);
      const std::int64_t from = i == 0 ? 4 : 6, to = i == n_layers - 1 ? 5 : 6;
      CHECK(find(state, layer + ".0.weight").size(0) == to);
      CHECK(find(state, layer + ".0.weight").size(1) == from + 5);
      CHECK(find(state, layer + ".1.running_mean").numel() == to);
    }
  }
}

TEST_CASE("fully connected: looking up columns equals appending one-hot columns, in every layer") {
  const at::NoGradGuard no_grad;
  const at::Tensor x = cells(20, 4);
  const at::Tensor first = at::arange(20) % 3, last = at::div(at::arange(20), 10, "trunc");
  for (int n_layers = 1; n_layers <= 3; ++n_layers) {
    FullyConnectedOptions options = small_options();
    options.n_layers = n_layers;
    options.covariates.n_categories = {3, 1, 2};
    FullyConnected block = make_block(options);
    scramble(*block);
    block->eval();
    RandomStream random(1);
    const at::Tensor y = block->forward(x, {{first, at::Tensor(), last}}, random);
    torch::nn::Module whole;
    whole.register_module("block", block.ptr());
    const at::Tensor columns = at::cat({one_hot_columns(first, 3), one_hot_columns(last, 2)}, 1);
    CHECK(max_relative_difference(y, block_by_hand(live_state(whole), "block", x, columns)) < 1e-6);
    CHECK(y.max().item<float>() > 0);
  }
}

TEST_CASE("fully connected: a covariate with columns must be given") {
  FullyConnectedOptions options = small_options();
  options.covariates.n_categories = {1, 3};
  FullyConnected block = make_block(options);
  RandomStream random(1);
  const char* message = "the model was built with a batch, label or covariate of 3 categories, but the cells' codes "
                        "were not given";
  const at::Tensor x = cells(5, 4), codes = at::zeros({5}, at::kLong);
  CHECK_THROWS_WITH_AS(block->forward(x, {}, random), message, InvalidArgument);
  CHECK_THROWS_WITH_AS(block->forward(x, {{codes}}, random), message, InvalidArgument);
  CHECK_THROWS_WITH_AS(block->forward(x, {{codes, at::Tensor()}}, random), message, InvalidArgument);
  CHECK_NOTHROW(block->forward(x, {{at::Tensor(), codes}}, random));
}

TEST_CASE("batch norm: normalises by the batch in training, by the running statistics in evaluation") {
  const at::NoGradGuard no_grad;
  const at::Tensor x = cells(9, 3);
  const at::Tensor mean = x.mean(0), biased = x.var(0, /*unbiased=*/false), unbiased = x.var(0, /*unbiased=*/true);
  BatchNorm norm(3);
  norm->weight.copy_(at::tensor({1.0F, 2.0F, -0.5F}));
  norm->bias.copy_(at::tensor({0.0F, 1.0F, -1.0F}));

  const at::Tensor in_training = norm->forward(x);
  CHECK(max_difference(in_training, (x - mean) / at::sqrt(biased + 0.001) * norm->weight + norm->bias) < 1e-5);
  CHECK(max_difference(norm->running_mean, 0.01 * mean) < 1e-6);
  CHECK(max_difference(norm->running_var, 0.99 + 0.01 * unbiased) < 1e-6);
  CHECK(norm->num_batches_tracked.item<std::int64_t>() == 1);

  norm->forward(x);
  CHECK(max_difference(norm->running_mean, (0.99 * 0.01 + 0.01) * mean) < 1e-6);
  CHECK(norm->num_batches_tracked.item<std::int64_t>() == 2);

  norm->eval();
  const State before = copy_state(*norm);
  const at::Tensor sd = at::sqrt(norm->running_var + 0.001);
  CHECK(max_difference(norm->forward(x), (x - norm->running_mean) / sd * norm->weight + norm->bias) < 1e-5);
  CHECK(same_bits(copy_state(*norm), before));
}

TEST_CASE("fully connected: dropout in training zeroes a share p and keeps the mean") {
  constexpr double p = 0.3;
  constexpr std::int64_t n = 4000;
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options = small_options();
  FullyConnected plain = make_block(options);
  options.dropout_rate = p;
  FullyConnected dropping = make_block(options);  // the same weights: dropout has none
  RandomStream random(5), unused(5);
  const at::Tensor x = cells(n, 4);
  const at::Tensor full = plain->forward(x, {}, unused), thinned = dropping->forward(x, {}, random);

  const at::Tensor positive = full > 0, kept = (thinned > 0).logical_and(positive);
  const auto n_positive = positive.sum().item<double>();
  CHECK(max_relative_difference(thinned.masked_select(kept), full.masked_select(kept) / (1 - p)) < 1e-5);
  CHECK(std::abs(kept.sum().item<double>() / n_positive - (1 - p)) < 4.5 * std::sqrt(p * (1 - p) / n_positive));
  const double se = full.square().sum().sqrt().item<double>() * std::sqrt(p / (1 - p));
  CHECK(std::abs((thinned - full).sum().item<double>()) < 4.5 * se);

  RandomStream again(5), other(6);
  CHECK(same_bits(dropping->forward(x, {}, again), thinned));
  CHECK_FALSE(same_bits(dropping->forward(x, {}, other), thinned));
}

TEST_CASE("fully connected: evaluation drops nothing and leaves the stream where it was") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options = small_options();
  options.dropout_rate = 0.5;
  FullyConnected block = make_block(options);
  block->eval();
  RandomStream random(5), untouched(5);
  const at::Tensor x = cells(30, 4);
  const at::Tensor first = block->forward(x, {}, random);
  CHECK(same_bits(block->forward(x, {}, random), first));
  CHECK(same_bits(random.normal({5}, c10::kCPU), untouched.normal({5}, c10::kCPU)));
  torch::nn::Module whole;
  whole.register_module("block", block.ptr());
  CHECK(max_relative_difference(first, block_by_hand(live_state(whole), "block", x, at::Tensor())) < 1e-6);
}

TEST_CASE("layer norm: each cell by its own mean and variance, in training and evaluation alike") {
  const at::NoGradGuard no_grad;
  const at::Tensor x = cells(9, 5);
  LayerNorm norm(5);
  norm->weight.copy_(at::tensor({1.0F, 2.0F, -0.5F, 0.1F, 3.0F}));
  norm->bias.copy_(at::tensor({0.0F, 1.0F, -1.0F, 2.0F, 0.5F}));
  const at::Tensor mean = x.mean(1, /*keepdim=*/true), variance = (x - mean).square().mean(1, /*keepdim=*/true);
  const at::Tensor y = norm->forward(x);
  CHECK(max_difference(y, (x - mean) / at::sqrt(variance + 1e-5) * norm->weight + norm->bias) < 1e-5);
  norm->eval();
  CHECK(same_bits(norm->forward(x), y));
  CHECK(names_of(live_state(*norm)) == std::vector<std::string>{"weight", "bias"});
}

TEST_CASE("fully connected: with layer normalisation a cell's output does not depend on the cells beside it") {
  const at::NoGradGuard no_grad;
  FullyConnectedOptions options = small_options();
  options.n_layers = 2;
  options.normalisation = Normalisation::layer;
  FullyConnected block = make_block(options);
  std::vector<std::string> names;
  for (const char* layer : {"fc_layers.Layer 0", "fc_layers.Layer 1"}) {
    for (const char* part : {".0.weight", ".0.bias", ".1.weight", ".1.bias"}) {
      names.push_back(std::string(layer) + part);
    }
  }
  CHECK(names_of(live_state(*block)) == names);
  RandomStream random(5);
  const at::Tensor x = cells(12, 4);
  const at::Tensor all = block->forward(x, {}, random);  // in training mode, without dropout
  CHECK(max_relative_difference(block->forward(x.narrow(0, 3, 2), {}, random), all.narrow(0, 3, 2)) < 1e-6);
  block->eval();
  CHECK(max_relative_difference(block->forward(x, {}, random), all) < 1e-6);
  // The linear layers' start does not depend on the normalisation.
  options.normalisation = Normalisation::batch;
  CHECK(same_bits(find(live_state(*make_block(options)), "fc_layers.Layer 1.0.weight"),
                  find(live_state(*block), "fc_layers.Layer 1.0.weight")));
}
