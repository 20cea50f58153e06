// Classifier: features of a cell to the probabilities of its labels (scvi 0.6.8, models/classifier.py).
#pragma once

#include "core/nn/fully_connected.h"

namespace rscvi {

// A fully connected block, then Linear: submodules "classifier.0" and "classifier.1".
class ClassifierImpl : public torch::nn::Module {
 public:
  ClassifierImpl(const FullyConnectedOptions& block, std::int64_t n_labels, RandomStream& random);

  // (B, n_in) -> (B, n_labels): ln probability of each label.
  at::Tensor forward(const at::Tensor& features, RandomStream& random);

 private:
  FullyConnected hidden_{nullptr};
  Linear logits_{nullptr};
};
TORCH_MODULE(Classifier);

}  // namespace rscvi
