// A linear layer whose start comes from a stream of our own (torch::nn::Linear draws from LibTorch's global generator).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "core/base/random.h"
#include "core/data/cell_matrix.h"

namespace rscvi {

// How a weight (n_out, n_in) lies in memory: output by output, as usual, or input by input (strides 1 and n_out): what
// one input adds to the outputs is then one stretch, which is what products with few non-zero inputs read and write.
enum class WeightLayout { by_output, by_input };

// y = x W' + b with weight (n_out, n_in) and bias (n_out), which may be left out. Both start uniform in
// +-1 / sqrt(n_in), as torch's do.
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(std::int64_t n_in, std::int64_t n_out, RandomStream& random, bool with_bias = true,
             WeightLayout layout = WeightLayout::by_output);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;  // bias: undefined if left out
};
TORCH_MODULE(Linear);

// x W' + b, (B, n_out). Of cells x genes with few non-zero numbers, on the CPU, the zeros are left out.
at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor apply_linear(const CellMatrix& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace rscvi
