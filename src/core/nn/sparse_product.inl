// The products of sparse_product.h; see base/for_each_target.inl. Both sum weighted rows of a dense matrix: as many
// vectors of the sum as there are registers for are summed at a time.

// sum_k value[k] * row[k] (+ start), n_vectors of vectors from column `column` on.
template <int n_vectors>
RSCVI_KERNEL_HELPER void sum_rows(const float* value, const std::int32_t* row, std::int64_t n, const float* matrix,
                                  std::int64_t n_out, std::int64_t column, const float* start, float* out) {
  constexpr std::int64_t lanes = VectorOf<float>::lanes;
  Floats sum[n_vectors];
  for (int v = 0; v < n_vectors; ++v) sum[v] = start ? load<Floats>(start + column + v * lanes) : Floats{};
  for (std::int64_t k = 0; k < n; ++k) {
    const float* from = matrix + row[k] * n_out + column;
    for (int v = 0; v < n_vectors; ++v) sum[v] += load<Floats>(from + v * lanes) * value[k];
  }
  for (int v = 0; v < n_vectors; ++v) store(out + column + v * lanes, sum[v]);
}

RSCVI_KERNEL void sum_weighted_rows(const float* value, const std::int32_t* row, std::int64_t n, const float* matrix,
                                    std::int64_t n_out, const float* start, float* out) {
  constexpr std::int64_t lanes = VectorOf<float>::lanes;
  constexpr int at_once = 8;
  std::int64_t column = 0;
  for (; column + at_once * lanes <= n_out; column += at_once * lanes) {
    sum_rows<at_once>(value, row, n, matrix, n_out, column, start, out);
  }
  for (; column + lanes <= n_out; column += lanes) sum_rows<1>(value, row, n, matrix, n_out, column, start, out);
  for (; column < n_out; ++column) {
    float sum = start ? start[column] : 0;
    for (std::int64_t k = 0; k < n; ++k) sum += value[k] * matrix[row[k] * n_out + column];
    out[column] = sum;
  }
}
