#include "core/nn/sparse_product.h"

#include <cstdint>

#include "core/base/instruction_set.h"

namespace rscvi {
namespace {

#define RSCVI_KERNELS "core/nn/sparse_product.inl"
#include "core/base/for_each_target.inl"

}  // namespace

void multiply_rows(const CsrBlock& x, const float* weight, const float* bias, std::int64_t n_out, std::int64_t first,
                   std::int64_t end, float* out) {
  const auto sum = RSCVI_CHOOSE_KERNEL(sum_weighted_rows);
  for (std::int64_t r = first; r < end; ++r) {
    const std::int64_t from = x.indptr[r];
    sum(x.value.data() + from, x.gene.data() + from, x.indptr[r + 1] - from, weight, n_out, bias, out + r * n_out);
  }
}

void multiply_columns(const CscBlock& x, const float* d, std::int64_t n_out, std::int64_t first, std::int64_t end,
                      float* out) {
  const auto sum = RSCVI_CHOOSE_KERNEL(sum_weighted_rows);
  for (std::int64_t g = first; g < end; ++g) {
    const std::int64_t from = x.indptr[g];
    sum(x.value.data() + from, x.cell.data() + from, x.indptr[g + 1] - from, d, n_out, nullptr, out + g * n_out);
  }
}

}  // namespace rscvi
