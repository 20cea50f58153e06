#include "core/training/objective.h"

#include <ATen/ATen.h>

namespace rscvi {

at::Tensor labelled_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, double kl_weight,
                         RandomStream& random) {
  return model.objective(model.loss_terms(minibatch, noise, random), kl_weight).mean();
}

at::Tensor unlabelled_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, double kl_weight,
                           RandomStream& random) {
  return model.objective(model.unlabelled_loss_terms(minibatch, noise, random), kl_weight).mean();
}

at::Tensor classification_loss(VaeImpl& model, const Minibatch& minibatch, bool double_softmax, RandomStream& random) {
  at::Tensor log_q = model.classify(minibatch.x, minibatch, random);
  if (double_softmax) log_q = at::log_softmax(at::exp(log_q), -1);
  return -log_q.gather(1, minibatch.label.unsqueeze(1)).mean();
}

}  // namespace rscvi
