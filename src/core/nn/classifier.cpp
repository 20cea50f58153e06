#include "core/nn/classifier.h"

#include <ATen/ATen.h>

namespace rscvi {

ClassifierImpl::ClassifierImpl(const FullyConnectedOptions& block, std::int64_t n_labels, RandomStream& random) {
  const auto layers = register_module("classifier", make_namespace());
  hidden_ = layers->register_module("0", FullyConnected(block, random));
  logits_ = layers->register_module("1", Linear(block.n_out, n_labels, random));
}

at::Tensor ClassifierImpl::forward(const at::Tensor& features, RandomStream& random) {
  return at::log_softmax(logits_->forward(hidden_->forward(features, {}, random)), -1);
}

}  // namespace rscvi
