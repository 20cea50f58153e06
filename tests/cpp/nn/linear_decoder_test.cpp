#include "core/nn/linear_decoder.h"

#include <cmath>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t n_cells = 11, n_genes = 9, n_latent = 3;

LinearDecoderOptions options_with(bool use_batch_norm, bool bias) {
  LinearDecoderOptions options;
  options.n_latent = n_latent;
  options.covariates.n_categories = {1, 2, 3};  // 5 columns: a covariate of one category has none
  options.n_genes = n_genes;
  options.use_batch_norm = use_batch_norm;
  options.bias = bias;
  return options;
}

struct Scene {
  explicit Scene(const LinearDecoderOptions& options) : decoder(options, random) { scramble(*decoder); }

  at::Tensor input() const { return at::cat({z, one_hot_columns(first, 2), one_hot_columns(second, 3)}, 1); }

  // Linear in z and the one-hot columns, normalised gene by gene with the running statistics.
  at::Tensor by_hand(const std::string& name) const {
    const State state = live_state(*decoder);
    const auto tensor = [&](const std::string& tail) { return find(state, name + ".fc_layers.Layer 0." + tail); };
    const auto has = [&](const std::string& tail) {
      for (const auto& item : state) {
        if (item.first == name + ".fc_layers.Layer 0." + tail) return true;
      }
      return false;
    };
    at::Tensor out = input().matmul(tensor("0.weight").t());
    if (has("0.bias")) out = out + tensor("0.bias");
    if (!has("1.weight")) return out;
    const at::Tensor sd = at::sqrt(tensor("1.running_var") + 0.001);
    return (out - tensor("1.running_mean")) / sd * tensor("1.weight") + tensor("1.bias");
  }

  at::NoGradGuard no_grad;
  RandomStream random{1};
  LinearDecoder decoder;
  at::Tensor z = random.normal({n_cells, n_latent}, c10::kCPU);
  at::Tensor first = at::arange(n_cells) % 2, second = at::arange(n_cells) % 3;
  Covariates covariates = {{at::Tensor(), first, second}};
};

DecoderWants all_wanted() {
  DecoderWants wants;
  wants.dispersion = wants.dropout = true;
  return wants;
}

}  // namespace

TEST_CASE("linear decoder: shares are the softmax of a linear function, with or without normalisation and bias") {
  for (const bool use_batch_norm : {true, false}) {
    for (const bool bias : {true, false}) {
      CAPTURE(use_batch_norm);
      CAPTURE(bias);
      Scene scene(options_with(use_batch_norm, bias));
      scene.decoder->eval();
      const DecoderOutput out = scene.decoder->forward(scene.z, scene.covariates, all_wanted(), scene.random);
      const at::Tensor weights = at::exp(scene.by_hand("factor_regressor"));
      const at::Tensor share = at::softmax(out.scale_logits, -1);
      CHECK(max_relative_difference(share, weights / weights.sum(1, /*keepdim=*/true)) < 1e-6);
      CHECK(max_relative_difference(out.dropout, scene.by_hand("px_dropout_decoder")) < 1e-5);
      CHECK_FALSE(out.log_dispersion.defined());  // it has none, wanted or not
    }
  }
}

TEST_CASE("linear decoder: names are those of scvi 0.6.8") {
  const auto names = [](bool use_batch_norm, bool bias) {
    return names_of(live_state(*Scene(options_with(use_batch_norm, bias)).decoder));
  };
  std::vector<std::string> expected;
  for (const std::string part : {"factor_regressor", "px_dropout_decoder"}) {
    const std::string layer = part + ".fc_layers.Layer 0.";
    for (const char* tensor : {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                               "1.num_batches_tracked"}) {
      expected.push_back(layer + tensor);
    }
  }
  CHECK(names(true, true) == expected);
  CHECK(names(false, false) == std::vector<std::string>{"factor_regressor.fc_layers.Layer 0.0.weight",
                                                        "px_dropout_decoder.fc_layers.Layer 0.0.weight"});
}

TEST_CASE("linear decoder: some genes at a time are the columns of all genes") {
  for (const bool use_batch_norm : {true, false}) {
    for (const bool bias : {true, false}) {
      Scene scene(options_with(use_batch_norm, bias));
      scene.decoder->eval();
      const at::Tensor hidden = scene.decoder->hidden(scene.z, scene.covariates, scene.random);
      CHECK(same_bits(hidden, scene.input()));
      const at::Tensor all = scene.by_hand("factor_regressor");
      using Range = std::pair<std::int64_t, std::int64_t>;
      for (const Range& range : {Range{0, 9}, Range{0, 1}, Range{4, 3}, Range{8, 1}}) {
        const at::Tensor logits = scene.decoder->scale_logits(hidden, range.first, range.second);
        CHECK(max_relative_difference(logits, all.narrow(1, range.first, range.second)) < 1e-5);
      }
    }
  }
}

TEST_CASE("linear decoder: the dropout's normalisation counts every training minibatch, wanted or not") {
  Scene scene(options_with(/*use_batch_norm=*/true, /*bias=*/false));
  const State state = live_state(*scene.decoder);
  const auto counted = [&](const std::string& part) {
    return find(state, part + ".fc_layers.Layer 0.1.num_batches_tracked").item<std::int64_t>();
  };
  DecoderWants wants;
  wants.dropout = false;
  scene.decoder->eval();
  CHECK_FALSE(scene.decoder->forward(scene.z, scene.covariates, wants, scene.random).dropout.defined());
  CHECK(counted("px_dropout_decoder") == 0);

  const State before = copy_state(*scene.decoder);
  scene.decoder->train();
  scene.decoder->forward(scene.z, scene.covariates, wants, scene.random);
  for (const std::string part : {"factor_regressor", "px_dropout_decoder"}) {
    CHECK(counted(part) == 1);
    const std::string layer = part + ".fc_layers.Layer 0.";
    const at::Tensor weight = find(state, layer + "0.weight");
    const at::Tensor mean = scene.input().matmul(weight.t()).mean(0);
    CHECK(max_difference(find(state, layer + "1.running_mean"),
                         0.99 * find(before, layer + "1.running_mean") + 0.01 * mean) < 1e-6);
  }
}

TEST_CASE("linear decoder: a covariate with columns must be given") {
  Scene scene(options_with(/*use_batch_norm=*/true, /*bias=*/false));
  CHECK_THROWS_WITH_AS(scene.decoder->forward(scene.z, {{at::Tensor(), scene.first}}, all_wanted(), scene.random),
                       "the model was built with a batch, label or covariate of 3 categories, but the cells' codes "
                       "were not given",
                       InvalidArgument);
}
