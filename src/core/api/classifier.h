// Classifiers, as the glue sees them: models that were made by api::Model's constructor for classifiers, or VAEC and
// SCANVI, which have one of their own.
#pragma once

#include <functional>

#include "core/api/dataset.h"
#include "core/api/model.h"
#include "core/base/monitor.h"
#include "core/training/train_options.h"

namespace rscvi::api {

// What a classifier sees of cells: their counts or, with a sampling model, the mean of z, and of l with `with_library`.
struct ClassifierInput {
  std::optional<Model> sampling_model;
  bool with_library = false;
};

// (B, n_input) -> (B, K): probabilities, or what they are the softmax of. Of a classifier alone.
Array classify_features(const Model& classifier, const Array& features, bool logits);

struct ClassifiedCells {
  Model classifier;
  ClassifierInput input;
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::int64_t> cells;  // 0-based
  std::int64_t batch_size = 128;
  bool corrupted = false;
  std::optional<bool> use_cuda;
  std::function<void()> poll;
};

// Probability of each label, (n, K).
Array label_probabilities(const ClassifiedCells& cells);

// See core/training/classifier_plan.h. Of a VAEC or SCANVI the classifier is trained, and the rest frozen.
TrainResult train_classifier(Model& classifier, const ClassifierInput& input, bool double_softmax,
                             std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                             TrainOptions options, std::optional<bool> use_cuda, std::uint64_t seed, Monitor& monitor);

}  // namespace rscvi::api
