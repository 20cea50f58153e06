#include "core/model/vaec.h"

#include <ATen/ATen.h>

#include "core/distributions/normal.h"

namespace rscvi {
namespace {

// Sets a flag while it lives.
class FlagScope {
 public:
  explicit FlagScope(bool& flag) : flag_(flag) { flag_ = true; }
  ~FlagScope() { flag_ = false; }
  FlagScope(const FlagScope&) = delete;
  FlagScope& operator=(const FlagScope&) = delete;

 private:
  bool& flag_;
};

}  // namespace

VaecImpl::VaecImpl(const VaeOptions& options, RandomStream& random) : LabelledVaeImpl(options, random) {
  classifier_ = register_module("classifier", make_classifier(options.n_input, n_labels(), random));
}

at::Tensor VaecImpl::classify(const CellMatrix& x, const Conditions&, RandomStream& random) {
  return classifier_->forward(x.log1p(), random);
}

LossTerms VaecImpl::loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) {
  const FlagScope scope(in_loss_);
  return VaeImpl::loss_terms(minibatch, noise, random);
}

LossTerms VaecImpl::unlabelled_loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) {
  const FlagScope scope(in_loss_);
  const std::int64_t n = minibatch.size(), k = n_labels();
  const GaussianParameters ql = encode_library(minibatch.x, minibatch, random);

  // Every cell with every label. As in 0.6.8 the library is encoded and drawn anew for each.
  const CellMatrix x = minibatch.x.repeated(k);
  Conditions conditions = repeated(minibatch, k);
  conditions.label = every_label(k, n, minibatch.x.device());
  const EncodedCells encoded = encode(x, conditions, random);
  const LatentDraw drawn = draw(encoded, std::nullopt, noise, random);

  const at::Tensor log_q = classify(minibatch.x, minibatch, random);
  const at::Tensor q = at::exp(log_q);
  LossTerms terms;
  terms.reconst_loss = average_over_labels(-log_likelihood(x, drawn, conditions, random), q);
  terms.kl_z = average_over_labels(kl_to_standard_normal(encoded.qz_m, encoded.qz_v), q);
  terms.kl_l = kl_of_library(ql, minibatch);
  terms.kl_y = kl_of_labels(log_q);
  return terms;
}

at::Tensor VaecImpl::log_dispersion(const at::Tensor& batch_index, const at::Tensor& label) const {
  const bool twice = in_loss_ && options_.encode_labels_twice && options_.dispersion == Dispersion::gene_label;
  if (!twice) return VaeImpl::log_dispersion(batch_index, label);
  return px_r_.select(1, 0) + px_r_.select(1, 1);
}

}  // namespace rscvi
