// Frozen parameters: the same bits after training, whatever the optimiser does.
#include "core/training/trainable.h"

#include <algorithm>

#include "core/base/errors.h"
#include "core/training/objective.h"
#include "core/training/optimiser.h"
#include "core/training/trainer.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

const std::string first_decoder_layer = "decoder.px_decoder.fc_layers.Layer 0.0.weight";  // (8, 3 latent + 2 batches)

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

TrainedPart part_of(const std::vector<std::string>& names) {
  TrainedPart part;
  part.names = names;
  return part;
}

TrainedPart columns_of(const std::string& parameter, const std::vector<std::int64_t>& which) {
  TrainedPart part;
  part.columns = {{parameter, which}};
  return part;
}

// Three epochs with a weight decay that nobody could overlook.
struct Result {
  Result(ModelType type, const TrainedPart& part) {
    TrainOptions options = quick_training(3);
    options.optimiser.weight_decay = 0.1;
    options.trained = part;
    model = scrambled_model(toy_options_of(type));
    before = copy_state(*model);
    QuietMonitor silent;
    train(model, toy.dataset, cells_from(0, 60), options, RandomStream(3), silent);
    after = copy_state(*model);
  }
  std::vector<std::string> changed() const {
    std::vector<std::string> names;
    for (std::size_t k = 0; k < before.size(); ++k) {
      if (!same_bits(before[k].second, after[k].second)) names.push_back(before[k].first);
    }
    return names;
  }
  Toy toy = toy_data();
  Vae model{nullptr};
  State before, after;
};

std::vector<std::string> names_below(const State& state, const std::vector<std::string>& modules) {
  std::vector<std::string> names;
  for (const std::string& name : names_of(state)) {
    for (const std::string& module : modules) {
      if (starts_with(name, module + ".")) names.push_back(name);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("trainable: without names the whole model, as ever") {
  const Toy toy = toy_data();
  const Trained plain = train_toy(toy, quick_training(2));
  TrainOptions options = quick_training(2);
  options.trained.evaluate_frozen = false;
  CHECK(same_bits(train_toy(toy, options).state(), plain.state()));
}

TEST_CASE("trainable: the named modules change, running statistics included, and nothing else by a bit") {
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec, ModelType::scanvi}) {
    const Result result(type, part_of({"z_encoder", "l_encoder"}));
    CHECK(result.changed() == names_below(result.before, {"z_encoder", "l_encoder"}));
  }
}

TEST_CASE("trainable: a parameter alone leaves all running statistics as they are") {
  CHECK(Result(ModelType::vae, part_of({"px_r"})).changed() == std::vector<std::string>{"px_r"});
  CHECK(Result(ModelType::vae, part_of({first_decoder_layer})).changed() ==
        std::vector<std::string>{first_decoder_layer});
}

TEST_CASE("trainable: a frozen part in training mode moves its running statistics, and no parameter") {
  TrainedPart part = part_of({"l_encoder"});
  part.evaluate_frozen = false;
  const Result result(ModelType::vae, part);
  for (const std::string& name : result.changed()) {
    const bool statistic = name.find("running_") != std::string::npos || name.find("num_batches") != std::string::npos;
    CHECK((starts_with(name, "l_encoder.") || statistic));
  }
  const auto changed = result.changed();
  CHECK(std::count(changed.begin(), changed.end(), "decoder.px_decoder.fc_layers.Layer 0.1.running_mean") == 1);
}

TEST_CASE("trainable: some columns of a weight, and the others keep their bits") {
  const Result result(ModelType::vae, columns_of(first_decoder_layer, {4, 1}));
  CHECK(result.changed() == std::vector<std::string>{first_decoder_layer});
  const at::Tensor before = find(result.before, first_decoder_layer), after = find(result.after, first_decoder_layer);
  for (const std::int64_t column : {0, 2, 3}) {
    CHECK(same_bits(before.select(1, column).contiguous(), after.select(1, column).contiguous()));
  }
  for (const std::int64_t column : {1, 4}) {
    CHECK(max_difference(before.select(1, column), after.select(1, column)) > 1e-3);
  }
}

TEST_CASE("trainable: trained columns go where they would go if all were trained, in the first step") {
  const Toy toy = toy_data();
  const auto one_step = [&](const TrainedPart& part) {
    Vae model = scrambled_model(toy_options_of(ModelType::vae));
    Trainable trainable(model.ptr(), part);
    Optimiser optimiser(trainable.parameters(), OptimiserOptions());
    trainable.enter_training_mode();
    RandomStream random(1);
    optimiser.step(labelled_loss(*model, minibatch_of(*toy.dataset, cells_from(0, 20)), Noise(), 1, random));
    trainable.restore_frozen_columns();
    return find(copy_state(*model), first_decoder_layer);
  };
  const at::Tensor some = one_step(columns_of(first_decoder_layer, {3, 4}));
  const at::Tensor all = one_step(part_of({first_decoder_layer}));
  CHECK(same_bits(some.narrow(1, 3, 2).contiguous(), all.narrow(1, 3, 2).contiguous()));
  CHECK_FALSE(same_bits(some.narrow(1, 0, 3).contiguous(), all.narrow(1, 0, 3).contiguous()));
}

TEST_CASE("trainable: gradients and modes while it lives and afterwards, one within another") {
  Vae model = toy_model(toy_options_of(ModelType::scanvi));
  const auto open = [&] {
    std::vector<std::string> names;
    for (const auto& item : model->named_parameters()) {
      if (item.value().requires_grad()) names.push_back(item.key());
    }
    return names;
  };
  const auto training = [&] {
    std::vector<std::string> names;
    for (const auto& item : model->named_children()) {
      if (item.value()->is_training()) names.push_back(item.key());
    }
    return names;
  };
  const auto all = open();
  {
    Trainable outer(model.ptr(), part_of({"classifier", "decoder"}));
    const auto outer_open = open();
    CHECK(outer_open.size() == outer.parameters().size());
    for (const auto& name : outer_open) CHECK((starts_with(name, "classifier.") || starts_with(name, "decoder.")));
    outer.enter_training_mode();
    CHECK(training() == std::vector<std::string>{"decoder", "classifier"});
    {
      // What is frozen already stays so.
      Trainable inner(model.ptr(), part_of({"classifier", "z_encoder"}));
      for (const auto& name : open()) CHECK(starts_with(name, "classifier."));
      inner.enter_training_mode();
      CHECK(training() == std::vector<std::string>{"z_encoder", "classifier"});
    }
    CHECK(open() == outer_open);
  }
  CHECK(open() == all);
}

TEST_CASE("trainable: a name ends at a dot") {
  VaeOptions options = toy_options_of(ModelType::scanvi);
  options.labels_groups = {0, 0, 1};
  Vae model = toy_model(options);
  const Trainable classifier(model.ptr(), part_of({"classifier"}));
  const Trainable both(model.ptr(), part_of({"classifier", "classifier_groups"}));
  CHECK(classifier.parameters().size() == 6);
  CHECK(both.parameters().size() == 6);  // the groups' were frozen by the first
}

TEST_CASE("trainable: names and columns that are not there are errors, and leave the model open") {
  Vae model = toy_model(toy_options());
  const auto refuse = [&](const TrainedPart& part, const char* message) {
    CHECK_THROWS_WITH_AS(Trainable(model.ptr(), part), message, InvalidArgument);
  };
  refuse(part_of({"z_encoder", "z_enc"}), "the model has no parameters called 'z_enc' that could be trained");
  refuse(columns_of("decoder.px_decoder", {0}),
         "the model has no parameter 'decoder.px_decoder' with columns to train");
  refuse(columns_of("px_r", {0}), "'px_r' is no matrix: it has no columns");
  refuse(columns_of(first_decoder_layer, {4, 5}),
         "'decoder.px_decoder.fc_layers.Layer 0.0.weight' has 5 columns, and no column 6");
  for (const auto& parameter : model->parameters()) CHECK(parameter.requires_grad());
}
