#include "core/api/classifier.h"

#include "core/api/model_handle.h"
#include "core/base/device.h"
#include "core/posterior/classified_cells.h"
#include "core/training/classifier_plan.h"
#include "core/training/trainer.h"

namespace rscvi::api {
namespace {

CellClassifier to_core(const Model& classifier, const ClassifierInput& input, const Dataset& dataset,
                       std::optional<bool> use_cuda) {
  const Vae sampling_model = input.sampling_model ? input.sampling_model->handle().vae : Vae(nullptr);
  CellClassifier core(classifier.handle().classifier, dataset.n_genes(), sampling_model, input.with_library);
  core.to(resolve_device(use_cuda));
  return core;
}

}  // namespace

Array classify_features(const Model& classifier, const Array& features, bool logits) {
  return translate_errors([&] {
    const at::NoGradGuard no_grad;
    Classifier core = classifier.handle().classifier;
    const at::Tensor x = to_tensor(features);
    if (!x.defined() || x.dim() != 2 || x.size(1) != core->n_in()) {
      throw InvalidArgument("x must be a matrix of cells x " + std::to_string(core->n_in()) + " features");
    }
    RandomStream unused(0);  // dropout, which evaluation does without
    const at::Tensor on_device = x.to(core->parameters().front().device());
    return to_array(logits ? core->logits(on_device, unused) : at::exp(core->forward(on_device, unused)));
  });
}

Array label_probabilities(const ClassifiedCells& cells) {
  return translate_errors([&] {
    return to_array(rscvi::label_probabilities(
        {to_core(cells.classifier, cells.input, *cells.dataset, cells.use_cuda), cells.dataset, cells.cells,
         cells.batch_size, cells.corrupted ? CountsKind::corrupted : CountsKind::observed, cells.poll}));
  });
}

TrainResult train_classifier(Model& classifier, const ClassifierInput& input, bool double_softmax,
                             std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                             TrainOptions options, std::optional<bool> use_cuda, std::uint64_t seed, Monitor& monitor) {
  return translate_errors([&] {
    check_labelled(*dataset, train_cells);
    const RandomStream random(seed);
    Vae model = classifier.handle().vae;
    if (model.is_empty()) {
      ClassifierPlan plan(to_core(classifier, input, *dataset, use_cuda), dataset, options, double_softmax, random);
      return rscvi::train(plan, train_cells, options, random, monitor);
    }
    model->to(resolve_device(use_cuda));
    options.trained = classifier_part(model);
    OwnClassifierPlan plan(model, dataset, options, double_softmax, random);
    return rscvi::train(plan, train_cells, options, random, monitor);
  });
}

}  // namespace rscvi::api
