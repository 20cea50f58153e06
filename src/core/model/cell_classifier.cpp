#include "core/model/cell_classifier.h"

#include <ATen/ATen.h>

#include "core/base/errors.h"

namespace rscvi {

CellClassifier::CellClassifier(Classifier classifier, std::int64_t n_genes, Vae sampling_model, bool with_library)
    : classifier_(std::move(classifier)), sampling_model_(std::move(sampling_model)), with_library_(with_library) {
  const bool on_counts = sampling_model_.is_empty();
  if (on_counts && with_library_) throw InvalidArgument("sampling_zl needs a sampling_model, which encodes z and l");
  const std::int64_t n = on_counts ? n_genes : sampling_model_->options().n_latent + (with_library_ ? 1 : 0);
  if (!on_counts) sampling_model_->eval();
  if (classifier_->n_in() != n) {
    throw InvalidArgument("the classifier was built for " + std::to_string(classifier_->n_in()) +
                          " features, but is given " + std::to_string(n));
  }
}

c10::Device CellClassifier::device() const { return classifier_->parameters().front().device(); }

void CellClassifier::to(c10::Device device) {
  classifier_->to(device);
  if (!sampling_model_.is_empty()) sampling_model_->to(device);
}

CellMatrix CellClassifier::features(const CellMatrix& x, const Conditions& conditions) const {
  if (sampling_model_.is_empty()) return x;
  const at::NoGradGuard no_grad;
  Vae model = sampling_model_;  // shares the networks
  RandomStream unused(0);       // dropout, which evaluation does without
  const at::Tensor z = model->encode_z(x, conditions, unused).mean;
  return with_library_ ? at::cat({z, model->encode_library(x, conditions, unused).mean}, 1) : z;
}

at::Tensor CellClassifier::log_probabilities(const CellMatrix& x, const Conditions& conditions,
                                             RandomStream& random) const {
  Classifier classifier = classifier_;
  return classifier->forward(features(x, conditions), random);
}

}  // namespace rscvi
