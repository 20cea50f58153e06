// Classifier: features of a cell to the probabilities of its labels (scvi 0.6.8, models/classifier.py).
#pragma once

#include "core/nn/classifier_options.h"
#include "core/nn/fully_connected.h"

namespace rscvi {

// A fully connected block, then Linear: submodules "classifier.0" and "classifier.1".
class ClassifierImpl : public torch::nn::Module {
 public:
  ClassifierImpl(const FullyConnectedOptions& block, std::int64_t n_labels, RandomStream& random);

  // (B, n_in) -> (B, n_labels): ln probability of each label.
  // Features: a tensor, or cells x genes.
  template <class Input>
  at::Tensor forward(const Input& features, RandomStream& random);
  // What that is the logarithm of the softmax of.
  template <class Input>
  at::Tensor logits(const Input& features, RandomStream& random);

  std::int64_t n_in() const { return n_in_; }
  std::int64_t n_labels() const { return n_labels_; }

 private:
  std::int64_t n_in_, n_labels_;
  FullyConnected hidden_{nullptr};
  Linear logits_{nullptr};
};
TORCH_MODULE(Classifier);

// InvalidArgument, naming the option, if none can be built with these.
Classifier make_classifier(std::int64_t n_in, std::int64_t n_labels, const ClassifierOptions& options,
                           RandomStream& random);

}  // namespace rscvi
