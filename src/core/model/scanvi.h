// SCANVI: a VAE of z1 whose prior knows of labels, z1 | z2, y with z2 ~ N(0, I), and a classifier of z1
// (Xu et al. 2021, Molecular Systems Biology 17:e9620; scvi 0.6.8, models/scanvi.py).
#pragma once

#include "core/model/labelled_vae.h"
#include "core/nn/gaussian_decoder.h"

namespace rscvi {

class ScanviImpl : public LabelledVaeImpl {
 public:
  ScanviImpl(const VaeOptions& options, RandomStream& random);

  // Of the mean of z1. With groups of labels: the group's probability times that of the label within it.
  at::Tensor classify(const CellMatrix& x, const Conditions& conditions, RandomStream& random) override;
  // noise.z and noise.library as of a VAE; noise.z2.
  LossTerms loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) override;
  LossTerms unlabelled_loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) override;

  // q(z2 | z1, y), (B, L) each.
  GaussianParameters encode_z2(const at::Tensor& z1, const at::Tensor& label, RandomStream& random);

 private:
  at::Tensor classify_z1(const at::Tensor& z1, RandomStream& random);
  // reconst_loss and kl_l, ln q(z1 | x) in kl_z1; kl_z is left undefined.
  LossTerms terms_of_z1(const Minibatch& minibatch, const Noise& noise, at::Tensor& z1, RandomStream& random);
  struct Z2Terms {
    at::Tensor log_p_z1, kl_z2;  // one a row
  };
  Z2Terms terms_of_z2(const at::Tensor& z1, const at::Tensor& label, const at::Tensor& noise, RandomStream& random);

  Classifier classifier_{nullptr};
  Classifier classifier_groups_{nullptr};  // empty without groups
  at::Tensor group_of_label_;              // (K), undefined without groups
  Encoder encoder_z2_z1_{nullptr};
  GaussianDecoder decoder_z1_z2_{nullptr};
};
TORCH_MODULE(Scanvi);

}  // namespace rscvi
