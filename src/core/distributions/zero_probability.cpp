#include "core/distributions/zero_probability.h"

#include "core/base/instruction_set.h"

namespace rscvi {
namespace {

#define RSCVI_KERNELS "core/distributions/zero_probability.inl"
#include "core/base/for_each_target.inl"

}  // namespace

void nb_zero_probabilities(std::int64_t n, const float* mu, const float* theta, double* out) {
  RSCVI_CHOOSE_KERNEL(zero_probabilities)(n, mu, theta, out);
}

}  // namespace rscvi
