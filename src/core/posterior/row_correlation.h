// Correlations between the rows of one large matrix, which is worked on in place.
#pragma once

#include <ATen/core/Tensor.h>

namespace rscvi {

// Replaces every value of a row by its rank in the row, from 1; equal values share the mean of their ranks. `rows` is
// (G, N), contiguous float32 on the CPU: half ranks are exact up to N = 2^23. No NaN.
void rank_rows(at::Tensor& rows);

// Adds weight * (Pearson correlation of each pair of rows) to `total`, (G, G) double, contiguous. A constant row
// correlates with no other one (NaN), and every row with itself (1). `rows`, as above, is left standardised.
void add_row_correlations(at::Tensor& rows, double weight, at::Tensor& total);

}  // namespace rscvi
