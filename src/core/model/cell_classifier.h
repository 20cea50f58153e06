// A classifier of cells, by their counts or by where a model of counts places them (scvi 0.6.8,
// inference/annotation.py, class ClassifierTrainer).
#pragma once

#include "core/model/vae.h"
#include "core/nn/classifier.h"

namespace rscvi {

class CellClassifier {
 public:
  // Without `sampling_model` the classifier sees the counts, as they are; with one, the mean of q(z | x) before any
  // softmax, and with `with_library` the mean of q(l | x) as a last column.
  // The sampling model is put into evaluation mode. InvalidArgument if the classifier was built for another number of
  // features.
  CellClassifier(Classifier classifier, std::int64_t n_genes, Vae sampling_model, bool with_library);

  const Classifier& classifier() const { return classifier_; }
  c10::Device device() const;
  void to(c10::Device device);

  // What the classifier sees of counts (B, G). The sampling model may look at batch and covariates. No gradient passes
  // through.
  CellMatrix features(const CellMatrix& x, const Conditions& conditions) const;

  // ln q(y | x), (B, K).
  at::Tensor log_probabilities(const CellMatrix& x, const Conditions& conditions, RandomStream& random) const;

 private:
  Classifier classifier_;
  Vae sampling_model_;
  bool with_library_;
};

}  // namespace rscvi
