#include "core/nn/classifier.h"

#include <ATen/ATen.h>

namespace rscvi {

ClassifierImpl::ClassifierImpl(const FullyConnectedOptions& block, std::int64_t n_labels, RandomStream& random) {
  const auto layers = register_module("classifier", make_namespace());
  hidden_ = layers->register_module("0", FullyConnected(block, random));
  // Without a hidden layer the block hands its input on.
  const std::int64_t n_in = block.n_layers > 0 ? block.n_out : block.n_in;
  logits_ = layers->register_module("1", Linear(n_in, n_labels, random));
}

at::Tensor ClassifierImpl::forward(const at::Tensor& features, RandomStream& random) {
  return at::log_softmax(logits_->forward(hidden_->forward(features, {}, random)), -1);
}

}  // namespace rscvi
