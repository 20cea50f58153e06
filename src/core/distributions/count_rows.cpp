#include "core/distributions/count_rows.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "core/base/instruction_set.h"
#include "core/distributions/count_kernels.h"

namespace rscvi {
namespace {

#define RSCVI_KERNELS "core/distributions/count_rows.inl"
#include "core/base/for_each_target.inl"

}  // namespace

template <class T>
CountRowKernels<T> count_row_kernels() {
  return {RSCVI_CHOOSE_KERNEL(prepare_theta<T>), RSCVI_CHOOSE_KERNEL(prepare<T>), RSCVI_CHOOSE_KERNEL(evaluate<T>),
          RSCVI_CHOOSE_KERNEL(forget<T>), RSCVI_CHOOSE_KERNEL(softmax<T>), RSCVI_CHOOSE_KERNEL(log_sum_exp<T>),
          RSCVI_CHOOSE_KERNEL(shares<T>), RSCVI_CHOOSE_KERNEL(scale_and_add<T>), RSCVI_CHOOSE_KERNEL(add_scaled<T>)};
}

template CountRowKernels<float> count_row_kernels();
template CountRowKernels<double> count_row_kernels();

}  // namespace rscvi
