#include "core/model/make_model.h"

#include <typeinfo>

#include "core/base/errors.h"
#include "core/model/scanvi.h"
#include "core/model/vaec.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

template <class Model>
void check_type(const VaeOptions& options) {
  RandomStream random(7), again(7);
  const Vae model = make_model(options, random);
  const Model direct(options, again);
  CHECK(typeid(*model) == typeid(Model));
  CHECK(model->options().type == options.type);
  CHECK(same_bits(live_state(*model), live_state(direct)));
}

std::vector<std::string> children_of(const VaeOptions& options) {
  std::vector<std::string> names;
  for (const auto& item : toy_model(options)->named_children()) names.push_back(item.key());
  return names;
}

}  // namespace

TEST_CASE("make model: each type is its class, and starts from the stream alone") {
  check_type<VaeImpl>(toy_options_of(ModelType::vae));
  check_type<VaeImpl>(toy_options_of(ModelType::ldvae));
  check_type<VaecImpl>(toy_options_of(ModelType::vaec));
  check_type<ScanviImpl>(toy_options_of(ModelType::scanvi));
}

TEST_CASE("make model: the parts of each type") {
  using Names = std::vector<std::string>;
  CHECK(children_of(toy_options_of(ModelType::vae)) == Names{"z_encoder", "l_encoder", "decoder"});
  CHECK(children_of(toy_options_of(ModelType::vaec)) == Names{"z_encoder", "l_encoder", "decoder", "classifier"});
  VaeOptions scanvi = toy_options_of(ModelType::scanvi);
  Names expected = {"z_encoder", "l_encoder", "decoder", "classifier", "encoder_z2_z1", "decoder_z1_z2"};
  CHECK(children_of(scanvi) == expected);
  scanvi.labels_groups = {0, 1, 0};
  expected.push_back("classifier_groups");
  CHECK(children_of(scanvi) == expected);
}

TEST_CASE("make model: a VAE's shares are linear in z up to the softmax if it is an LDVAE") {
  const at::NoGradGuard no_grad;
  const Toy toy = toy_data(24);
  const Minibatch cells = minibatch_of(*toy.dataset, cells_from(0, 24));
  VaeOptions options = toy_options_of(ModelType::ldvae);
  options.bias = true;
  Vae model = scrambled_model(options);
  const State state = live_state(*model);
  RandomStream random(3);
  const EncodedCells q = model->encode(cells.x, {}, random);
  const LatentDraw drawn = model->draw(q, std::nullopt, Noise(), random);
  const CountParameters out = model->decode(drawn, {cells.batch_index, at::Tensor()}, /*want_dropout=*/true, random);

  const std::string layer = "decoder.factor_regressor.fc_layers.Layer 0.";
  const at::Tensor input = at::cat({drawn.z, one_hot_columns(cells.batch_index, 2)}, 1);
  const at::Tensor sd = at::sqrt(find(state, layer + "1.running_var") + 0.001);
  const at::Tensor normalised =
      (linear_by_hand(state, layer + "0", input) - find(state, layer + "1.running_mean")) / sd;
  const at::Tensor logits = normalised * find(state, layer + "1.weight") + find(state, layer + "1.bias");
  CHECK(max_relative_difference(out.px_scale, at::softmax(logits, 1)) < 1e-6);
  CHECK(max_relative_difference(out.px_rate, at::exp(drawn.library) * at::softmax(logits, 1)) < 1e-5);
  CHECK(max_relative_difference(out.px_r, at::exp(find(state, "px_r"))) < 1e-6);
}

TEST_CASE("make model: options that cannot work are refused before anything is built") {
  RandomStream random(1);
  VaeOptions options = toy_options_of(ModelType::scanvi);
  options.n_labels = 1;
  CHECK_THROWS_WITH_AS(make_model(options, random), "n_labels must be at least 2, not 1", InvalidArgument);
}
