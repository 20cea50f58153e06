// Gradients of a model against finite differences, in double.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/model/vae.h"
#include "helpers.h"

namespace rscvi::test {

inline Minibatch as_double(Minibatch minibatch) {
  minibatch.x = minibatch.x.dense().to(at::kDouble);
  minibatch.local_l_mean = minibatch.local_l_mean.to(at::kDouble);
  minibatch.local_l_var = minibatch.local_l_var.to(at::kDouble);
  return minibatch;
}

// All entries of a tensor in the order in which they lie in memory: weights may lie input by input.
inline at::Tensor flat_of(const at::Tensor& tensor) {
  return (tensor.is_contiguous() ? tensor : tensor.t()).detach().view(-1);
}

// Largest |gradient - central difference| / (1 + |central difference|) over the first and last entry of each parameter.
// `loss` must not be random.
template <class Loss>
double largest_gradient_error(VaeImpl& model, Loss&& loss) {
  constexpr double step = 1e-6;
  model.zero_grad();
  loss().backward();
  const at::NoGradGuard no_grad;
  double worst = 0;
  for (at::Tensor parameter : model.parameters()) {
    const at::Tensor flat = flat_of(parameter);
    for (const std::int64_t k : {std::int64_t{0}, flat.numel() - 1}) {
      const auto value = flat[k].item<double>();
      const auto loss_at = [&](double x) {
        flat[k] = x;
        return loss().template item<double>();
      };
      const double numeric = (loss_at(value + step) - loss_at(value - step)) / (2 * step);
      flat[k] = value;
      const double exact = parameter.grad().defined() ? flat_of(parameter.grad())[k].item<double>() : 0.0;
      worst = std::max(worst, std::abs(exact - numeric) / (1 + std::abs(numeric)));
    }
  }
  return worst;
}

}  // namespace rscvi::test
