// VAEC: a VAE whose encoder of z and decoder are conditioned on the label, with a classifier of the counts for cells
// whose label is not known (scvi 0.6.8, models/vaec.py; model M2 of Kingma et al. 2014).
#pragma once

#include "core/model/labelled_vae.h"

namespace rscvi {

class VaecImpl : public LabelledVaeImpl {
 public:
  VaecImpl(const VaeOptions& options, RandomStream& random);

  // Of ln(1 + x), whatever the encoders see.
  at::Tensor classify(const CellMatrix& x, const Conditions& conditions, RandomStream& random) override;
  // noise: z (K * B, L) and library (K * B, 1), label by label.
  LossTerms loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) override;
  LossTerms unlabelled_loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) override;

 private:
  at::Tensor log_dispersion(const at::Tensor& batch_index, const at::Tensor& label) const override;

  Classifier classifier_{nullptr};
  bool in_loss_ = false;  // see VaeOptions::encode_labels_twice
};

}  // namespace rscvi
