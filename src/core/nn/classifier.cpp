#include "core/nn/classifier.h"

#include <ATen/ATen.h>

#include <string>

#include "core/base/errors.h"

namespace rscvi {

ClassifierImpl::ClassifierImpl(const FullyConnectedOptions& block, std::int64_t n_labels, RandomStream& random)
    : n_in_(block.n_in), n_labels_(n_labels) {
  const auto layers = register_module("classifier", make_namespace());
  hidden_ = layers->register_module("0", FullyConnected(block, random));
  // Without a hidden layer the block hands its input on.
  const std::int64_t n_in = block.n_layers > 0 ? block.n_out : block.n_in;
  logits_ = layers->register_module("1", Linear(n_in, n_labels, random));
}

template <class Input>
at::Tensor ClassifierImpl::forward(const Input& features, RandomStream& random) {
  return at::log_softmax(logits(features, random), -1);
}

template <class Input>
at::Tensor ClassifierImpl::logits(const Input& features, RandomStream& random) {
  return logits_->forward(hidden_->forward(features, {}, random));
}

template at::Tensor ClassifierImpl::forward(const at::Tensor&, RandomStream&);
template at::Tensor ClassifierImpl::forward(const CellMatrix&, RandomStream&);
template at::Tensor ClassifierImpl::logits(const at::Tensor&, RandomStream&);
template at::Tensor ClassifierImpl::logits(const CellMatrix&, RandomStream&);

Classifier make_classifier(std::int64_t n_in, std::int64_t n_labels, const ClassifierOptions& options,
                           RandomStream& random) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw InvalidArgument(std::string(rule) + " for a classifier");
  };
  require(n_in >= 1, "n_input must be at least 1");
  require(n_labels >= 2, "n_labels must be at least 2");
  require(options.n_hidden >= 1, "n_hidden must be at least 1");
  require(options.n_layers >= 0, "n_layers must be at least 0");
  require(options.dropout_rate >= 0 && options.dropout_rate < 1, "dropout_rate must be in [0, 1)");
  FullyConnectedOptions block;
  block.n_in = n_in;
  block.n_out = block.n_hidden = options.n_hidden;
  block.n_layers = options.n_layers;
  block.dropout_rate = options.dropout_rate;
  return Classifier(block, n_labels, random);
}

}  // namespace rscvi
