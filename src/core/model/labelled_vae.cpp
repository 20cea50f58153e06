#include "core/model/labelled_vae.h"

#include <ATen/ATen.h>

#include "core/base/errors.h"

namespace rscvi {

LabelledVaeImpl::LabelledVaeImpl(const VaeOptions& options, RandomStream& random) : VaeImpl(options, random) {
  const at::Tensor prior = options.y_prior.empty()
                               ? at::full({1, n_labels()}, 1.0 / static_cast<double>(n_labels()), at::kFloat)
                               : at::tensor(options.y_prior, at::kFloat).unsqueeze(0);
  y_prior_ = register_buffer("y_prior", prior);
}

Classifier LabelledVaeImpl::make_classifier(std::int64_t n_features, std::int64_t n_classes,
                                            RandomStream& random) const {
  return rscvi::make_classifier(n_features, n_classes, options_.classifier, random);
}

at::Tensor LabelledVaeImpl::objective(const LossTerms& terms, const KlWeight& kl_weight, double free_bits) const {
  if (free_bits > 0) throw InvalidArgument("free_bits is for models without a classifier");
  at::Tensor annealed = terms.kl_z + terms.kl_l;
  if (terms.kl_y.defined()) annealed = annealed + terms.kl_y;
  const at::Tensor rest = terms.kl_z1.defined() ? terms.reconst_loss + terms.kl_z1 : terms.reconst_loss;
  return rest + kl_weight.times(annealed);
}

at::Tensor LabelledVaeImpl::kl_of_labels(const at::Tensor& log_q) const {
  return (at::exp(log_q) * (log_q - at::log(y_prior_))).sum(-1);
}

at::Tensor every_label(std::int64_t n_labels, std::int64_t n_cells, c10::Device device) {
  const at::Tensor labels = at::arange(n_labels, at::TensorOptions(at::kLong).device(device));
  return labels.unsqueeze(1).repeat({1, n_cells}).view(-1);  // repeat_interleave() has the host read a size
}

at::Tensor average_over_labels(const at::Tensor& values, const at::Tensor& q) {
  return (values.view({q.size(1), q.size(0)}).t() * q).sum(-1);
}

}  // namespace rscvi
