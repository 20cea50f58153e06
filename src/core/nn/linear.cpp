#include "core/nn/linear.h"

#include <ATen/ATen.h>

#include <cmath>

namespace rscvi {

LinearImpl::LinearImpl(std::int64_t n_in, std::int64_t n_out, RandomStream& random, bool with_bias) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(n_in));
  weight = register_parameter("weight", random.uniform({n_out, n_in}, bound));
  if (with_bias) bias = register_parameter("bias", random.uniform({n_out}, bound));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return at::linear(x, weight, bias); }

}  // namespace rscvi
