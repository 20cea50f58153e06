#include "core/training/adam_kernel.h"

#include <cstdint>

#include "core/base/instruction_set.h"

namespace rscvi {
namespace {

#define RSCVI_KERNELS "core/training/adam_kernel.inl"
#include "core/base/for_each_target.inl"

}  // namespace

void adam_step(const AdamStep& step, std::int64_t n, const float* gradient, float* parameter, float* mean,
               float* mean_square) {
  RSCVI_CHOOSE_KERNEL(adam_range)(step, n, gradient, parameter, mean, mean_square);
}

}  // namespace rscvi
