#include "core/training/objective.h"

#include <ATen/ATen.h>

namespace rscvi {

at::Tensor labelled_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, const KlWeight& kl_weight,
                         RandomStream& random, double free_bits) {
  return model.objective(model.loss_terms(minibatch, noise, random), kl_weight, free_bits).mean();
}

at::Tensor unlabelled_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, const KlWeight& kl_weight,
                           RandomStream& random) {
  return model.objective(model.unlabelled_loss_terms(minibatch, noise, random), kl_weight).mean();
}

at::Tensor cross_entropy(const at::Tensor& log_q, const at::Tensor& label, bool double_softmax) {
  const at::Tensor scores = double_softmax ? at::log_softmax(at::exp(log_q), -1) : log_q;
  return -scores.gather(1, label.unsqueeze(1)).mean();
}

at::Tensor classification_loss(VaeImpl& model, const Minibatch& minibatch, bool double_softmax, RandomStream& random) {
  return cross_entropy(model.classify(minibatch.x, minibatch, random), minibatch.label, double_softmax);
}

}  // namespace rscvi
