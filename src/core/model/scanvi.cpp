#include "core/model/scanvi.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/distributions/normal.h"

namespace rscvi {
namespace {

constexpr double smallest_share = 1e-8;  // of a group's labels together: guards a division

FullyConnectedOptions z2_block(const VaeOptions& options, double dropout_rate) {
  FullyConnectedOptions block = encoder_block(options, options.n_latent, options.n_layers);
  block.covariates.n_categories = {options.n_labels};
  block.dropout_rate = dropout_rate;
  return block;
}

}  // namespace

ScanviImpl::ScanviImpl(const VaeOptions& options, RandomStream& random) : LabelledVaeImpl(options, random) {
  classifier_ = register_module("classifier", make_classifier(options.n_latent, n_labels(), random));
  const auto encoder = Encoder(z2_block(options, options.dropout_rate), options.n_latent, random);
  encoder_z2_z1_ = register_module("encoder_z2_z1", encoder);
  const auto decoder = GaussianDecoder(z2_block(options, /*dropout_rate=*/0), options.n_latent, random);
  decoder_z1_z2_ = register_module("decoder_z1_z2", decoder);
  if (options.labels_groups.empty()) return;
  const std::int64_t n_groups = 1 + *std::max_element(options.labels_groups.begin(), options.labels_groups.end());
  classifier_groups_ = register_module("classifier_groups", make_classifier(options.n_latent, n_groups, random));
  group_of_label_ = at::tensor(options.labels_groups, at::kLong);
}

at::Tensor ScanviImpl::classify_z1(const at::Tensor& z1, RandomStream& random) {
  const at::Tensor log_q = classifier_->forward(z1, random);
  if (!classifier_groups_) return log_q;
  const at::Tensor log_group = classifier_groups_->forward(z1, random);
  group_of_label_ = group_of_label_.to(z1.device());  // once: a GPU is waited for
  const at::Tensor share = at::zeros_like(log_group).index_add(1, group_of_label_, at::exp(log_q));
  return log_q + (log_group - at::log(share + smallest_share)).index_select(1, group_of_label_);
}

at::Tensor ScanviImpl::classify(const CellMatrix& x, const Conditions& conditions, RandomStream& random) {
  return classify_z1(encode_z(x, conditions, random).mean, random);
}

GaussianParameters ScanviImpl::encode_z2(const at::Tensor& z1, const at::Tensor& label, RandomStream& random) {
  return encoder_z2_z1_->forward(z1, {{label}}, random);
}

LossTerms ScanviImpl::terms_of_z1(const Minibatch& minibatch, const Noise& noise, at::Tensor& z1,
                                  RandomStream& random) {
  const EncodedCells encoded = encode(minibatch.x, minibatch, random);
  const LatentDraw drawn = draw(encoded, std::nullopt, noise, random);
  z1 = drawn.z;
  LossTerms terms;
  terms.reconst_loss = -log_likelihood(minibatch.x, drawn, minibatch, random);
  terms.kl_z1 = log_normal(z1, encoded.qz_m, encoded.qz_v);
  terms.kl_l = kl_of_library({encoded.ql_m, encoded.ql_v}, minibatch);
  return terms;
}

ScanviImpl::Z2Terms ScanviImpl::terms_of_z2(const at::Tensor& z1, const at::Tensor& label, const at::Tensor& noise,
                                            RandomStream& random) {
  const GaussianParameters q = encode_z2(z1, label, random);
  const at::Tensor z2 = draw_normal(q, std::nullopt, noise, "z2", random);
  const GaussianParameters p = decoder_z1_z2_->forward(z2, {{label}}, random);
  return {log_normal(z1, p.mean, p.variance), kl_to_standard_normal(q.mean, q.variance)};
}

LossTerms ScanviImpl::loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) {
  if (!minibatch.label.defined()) throw InvalidArgument("y is needed: the labels of the cells were not given");
  at::Tensor z1;
  LossTerms terms = terms_of_z1(minibatch, noise, z1, random);
  const Z2Terms z2 = terms_of_z2(z1, minibatch.label, noise.z2, random);
  terms.kl_z1 = terms.kl_z1 - z2.log_p_z1;
  terms.kl_z = z2.kl_z2;
  return terms;
}

LossTerms ScanviImpl::unlabelled_loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) {
  at::Tensor z1;
  LossTerms terms = terms_of_z1(minibatch, noise, z1, random);
  const at::Tensor label = every_label(n_labels(), minibatch.size(), z1.device());
  const Z2Terms z2 = terms_of_z2(z1.repeat({n_labels(), 1}), label, noise.z2, random);
  const at::Tensor log_q = classify_z1(z1, random);
  const at::Tensor q = at::exp(log_q);
  terms.kl_z1 = terms.kl_z1 - average_over_labels(z2.log_p_z1, q);
  terms.kl_z = average_over_labels(z2.kl_z2, q);
  terms.kl_y = kl_of_labels(log_q);
  return terms;
}

}  // namespace rscvi
