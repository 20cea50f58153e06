// A linear layer whose start comes from a stream of our own (torch::nn::Linear draws from LibTorch's global generator).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "core/base/random.h"

namespace rscvi {

// y = x W' + b with weight (n_out, n_in) and bias (n_out), which may be left out. Both start uniform in
// +-1 / sqrt(n_in), as torch's do.
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(std::int64_t n_in, std::int64_t n_out, RandomStream& random, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;  // bias: undefined if left out
};
TORCH_MODULE(Linear);

}  // namespace rscvi
