// Products of compressed rows with a weight matrix, for the first layer of networks that see counts.
#pragma once

#include "core/data/cell_matrix.h"

namespace rscvi {

// x W + bias for cells first .. end - 1 of x, (B, G), with W (G, n_out), row-major: out (B, n_out), row-major.
void multiply_rows(const CsrBlock& x, const float* weight, const float* bias, std::int64_t n_out, std::int64_t first,
                   std::int64_t end, float* out);

// x' D for genes first .. end - 1 of x, with D (B, n_out), row-major: out (G, n_out), row-major. Genes that no cell has
// get zeros.
void multiply_columns(const CscBlock& x, const float* d, std::int64_t n_out, std::int64_t first, std::int64_t end,
                      float* out);

}  // namespace rscvi
