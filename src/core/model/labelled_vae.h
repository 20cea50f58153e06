// What VAEC and SCANVI share: a classifier, a prior over labels, and losses that average over the labels of a cell
// (Kingma et al. 2014, "Semi-supervised learning with deep generative models", equations 6 and 7).
#pragma once

#include "core/model/vae.h"
#include "core/nn/classifier.h"

namespace rscvi {

class LabelledVaeImpl : public VaeImpl {
 public:
  LabelledVaeImpl(const VaeOptions& options, RandomStream& random);

  // The divergences of z, l and y are annealed, and kl_z1 is not.
  at::Tensor objective(const LossTerms& terms, const KlWeight& kl_weight, double free_bits = 0) const override;

 protected:
  // A classifier of so many features with the options' settings.
  Classifier make_classifier(std::int64_t n_features, std::int64_t n_classes, RandomStream& random) const;

  // KL(q(y | x) || p(y)), (B), from ln q(y | x), (B, K).
  at::Tensor kl_of_labels(const at::Tensor& log_q) const;

  std::int64_t n_labels() const { return options_.n_labels; }

 private:
  at::Tensor y_prior_;  // (1, K)
};

// Each label for each cell, label by label: 0 0 .. 0 1 1 .. 1 .., (K * n_cells) on `device`.
at::Tensor every_label(std::int64_t n_labels, std::int64_t n_cells, c10::Device device);

// A value for each label and cell, in that order, (K * B), averaged over the labels of a cell, q (B, K): (B).
at::Tensor average_over_labels(const at::Tensor& values, const at::Tensor& q);

}  // namespace rscvi
