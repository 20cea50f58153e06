// What a hidden layer does with the product that its linear part gives: batch normalisation, ReLU and dropout, each way
// in as few passes over memory as they need. One after another by LibTorch's operators they took longer than a small
// data set's products.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/base/random.h"

namespace rscvi {

// Tensors of the layer, (F) each; training moves the running ones.
struct BatchNormalisation {
  at::Tensor weight, bias, running_mean, running_var;
  double momentum, eps;
};

// (B, F) -> (B, F):
//
//   u = (x - mean) / sqrt(variance + eps) * weight + bias,   y = mask * max(u, 0)
//
// with the mean and (biased) variance over the B cells in training, which move the running ones (momentum; the unbiased
// variance), and the running ones otherwise (Ioffe & Szegedy 2015, algorithms 1 and 2). The mask is 1 / (1 - p) with
// probability 1 - p and 0 otherwise; `random` is asked for it in training with p = dropout_rate > 0 alone.
at::Tensor hidden_units(const at::Tensor& x, const BatchNormalisation& norm, bool is_training, double dropout_rate,
                        RandomStream& random);

// The same by LibTorch's operators: for other devices and double precision, which hidden_units() turns to by itself,
// and to hold it against.
at::Tensor hidden_units_by_operators(const at::Tensor& x, const BatchNormalisation& norm, bool is_training,
                                     double dropout_rate, RandomStream& random);

}  // namespace rscvi
