// What a step of training minimises.
#pragma once

#include "core/model/vae.h"
#include "core/training/train_options.h"

namespace rscvi {

// The model's objective with labels taken as known, averaged over the minibatch's cells: a scalar.
at::Tensor labelled_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, const KlWeight& kl_weight,
                         RandomStream& random, double free_bits = 0);

// The same without a look at the labels; models with a classifier alone.
at::Tensor unlabelled_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, const KlWeight& kl_weight,
                           RandomStream& random);

// Mean of -ln q(y | x) over cells, from ln q(y | x), (B, K), and labels, (B). `double_softmax`: as 0.6.8, which takes
// the softmax of what are probabilities already.
at::Tensor cross_entropy(const at::Tensor& log_q, const at::Tensor& label, bool double_softmax);

// That of the minibatch by the model's classifier.
at::Tensor classification_loss(VaeImpl& model, const Minibatch& minibatch, bool double_softmax, RandomStream& random);

}  // namespace rscvi
