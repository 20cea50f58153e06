// Row-major floats to column-major numbers.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rscvi {

// to[c * to_stride + r] = from[r * n_columns + c]. In strips of a cache line's width: each line that is read is used at
// once, and as many lines are written to side by side as a cache holds.
template <class T>
void transpose_into(const float* from, std::int64_t n_rows, std::int64_t n_columns, T* to, std::int64_t to_stride) {
  constexpr std::int64_t strip = 16;
  for (std::int64_t first = 0; first < n_columns; first += strip) {
    const std::int64_t last = std::min(first + strip, n_columns);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      for (std::int64_t column = first; column < last; ++column) {
        to[column * to_stride + row] = static_cast<T>(from[row * n_columns + column]);
      }
    }
  }
}

}  // namespace rscvi
