#include "core/model/state.h"

#include <limits>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

void append(std::vector<std::string>& names, const std::string& module, const std::vector<std::string>& tensors) {
  for (const auto& tensor : tensors) names.push_back(module + "." + tensor);
}

void append_layer(std::vector<std::string>& names, const std::string& layer) {
  append(names, layer + ".0", {"weight", "bias"});
  append(names, layer + ".1", {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"});
}

std::size_t place_of(const State& state, const std::string& name) {
  const auto names = names_of(state);
  return std::find(names.begin(), names.end(), name) - names.begin();
}

}  // namespace

TEST_CASE("state: names and order of a VAE with two layers are those of scvi 0.6.8") {
  VaeOptions options = toy_options(/*n_batch=*/3);
  options.n_layers = 2;
  std::vector<std::string> expected = {"px_r"};
  append_layer(expected, "z_encoder.encoder.fc_layers.Layer 0");
  append_layer(expected, "z_encoder.encoder.fc_layers.Layer 1");
  append(expected, "z_encoder.mean_encoder", {"weight", "bias"});
  append(expected, "z_encoder.var_encoder", {"weight", "bias"});
  append_layer(expected, "l_encoder.encoder.fc_layers.Layer 0");
  append(expected, "l_encoder.mean_encoder", {"weight", "bias"});
  append(expected, "l_encoder.var_encoder", {"weight", "bias"});
  append_layer(expected, "decoder.px_decoder.fc_layers.Layer 0");
  append_layer(expected, "decoder.px_decoder.fc_layers.Layer 1");
  append(expected, "decoder.px_scale_decoder.0", {"weight", "bias"});
  append(expected, "decoder.px_r_decoder", {"weight", "bias"});
  append(expected, "decoder.px_dropout_decoder", {"weight", "bias"});
  CHECK(names_of(live_state(*toy_model(options))) == expected);

  options.dispersion = Dispersion::gene_cell;
  expected.erase(expected.begin());
  CHECK(names_of(live_state(*toy_model(options))) == expected);
}

TEST_CASE("state: shapes of the tensors that depend on batches and labels") {
  VaeOptions options = toy_options(/*n_batch=*/2);
  const auto shape = [&](const std::string& name) { return find(live_state(*toy_model(options)), name).sizes().vec(); };
  const std::string decoder = "decoder.px_decoder.fc_layers.Layer 0.0.weight";
  CHECK(shape("px_r") == std::vector<std::int64_t>{12});
  CHECK(shape(decoder) == std::vector<std::int64_t>{8, 3 + 2});
  options.dispersion = Dispersion::gene_batch;
  CHECK(shape("px_r") == std::vector<std::int64_t>{12, 2});
  options.dispersion = Dispersion::gene_label;
  CHECK(shape("px_r") == std::vector<std::int64_t>{12, 3});
  options.n_batch = 1;
  CHECK(shape(decoder) == std::vector<std::int64_t>{8, 3});
}

TEST_CASE("state: a round trip restores every bit") {
  const Vae source = scrambled_model(toy_options(), 1);
  find(live_state(*source), "decoder.px_decoder.fc_layers.Layer 0.1.num_batches_tracked").fill_(41);
  Vae target = toy_model(toy_options(), 2);
  const State state = copy_state(*source);
  CHECK_FALSE(same_bits(state, live_state(*target)));
  load_state(*target, state);
  CHECK(same_bits(state, live_state(*target)));
}

TEST_CASE("state: a copy does not change with the model, the live state does") {
  const at::NoGradGuard no_grad;
  const Vae model = toy_model(toy_options());
  const State copy = copy_state(*model), live = live_state(*model);
  find(live, "px_r").add_(1);
  CHECK(max_difference(find(live_state(*model), "px_r"), find(copy, "px_r") + 1) == 0);
}

TEST_CASE("state: order does not matter to loading, nor does one number's dress") {
  Vae source = scrambled_model(toy_options(), 1), target = toy_model(toy_options(), 2);
  State state = copy_state(*source);
  std::reverse(state.begin(), state.end());
  for (auto& item : state) {
    if (item.second.dim() == 0) item.second = item.second.to(at::kFloat).view({1});
  }
  load_state(*target, state);
  CHECK(same_bits(live_state(*target), live_state(*source)));
}

TEST_CASE("state: what does not fit is named, and nothing is changed") {
  Vae model = toy_model(toy_options(), 1);
  const State before = copy_state(*model);
  State state = copy_state(*scrambled_model(toy_options(), 2));
  const auto refuse = [&](const char* message) {
    CHECK_THROWS_WITH_AS(load_state(*model, state), message, InvalidArgument);
    CHECK(same_bits(live_state(*model), before));
  };
  SUBCASE("a tensor is missing") {
    state.erase(state.begin() + static_cast<std::ptrdiff_t>(place_of(state, "z_encoder.var_encoder.bias")));
    refuse("the state lacks the tensor 'z_encoder.var_encoder.bias'");
  }
  SUBCASE("a tensor is unknown") {
    state.emplace_back("z_encoder.other.bias", at::zeros({3}));
    refuse("the state holds a tensor that this model does not have: 'z_encoder.other.bias'");
  }
  SUBCASE("a tensor comes twice") {
    state.push_back(state.front());
    refuse("the state holds a tensor more than once");
  }
  SUBCASE("a matrix has another shape") {
    state[place_of(state, "z_encoder.mean_encoder.weight")].second = at::zeros({8, 3});
    refuse("tensor 'z_encoder.mean_encoder.weight' must be 3 x 8, not 8 x 3");
  }
  SUBCASE("a vector is a single number") {
    state[place_of(state, "decoder.px_r_decoder.bias")].second = at::zeros({});
    refuse("tensor 'decoder.px_r_decoder.bias' must be 12, not a single number");
  }
  SUBCASE("a single number is a vector") {
    state[place_of(state, "l_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked")].second = at::zeros({2});
    refuse("tensor 'l_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked' must be a single number, not 2");
  }
}

TEST_CASE("state: finite means every parameter and every buffer") {
  const at::NoGradGuard no_grad;
  for (const char* name : {"px_r", "decoder.px_decoder.fc_layers.Layer 0.1.running_var"}) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const Vae model = toy_model(toy_options());
      REQUIRE(is_finite(*model));
      find(live_state(*model), name).detach()[3] = bad;
      CHECK_FALSE(is_finite(*model));
    }
  }
}
