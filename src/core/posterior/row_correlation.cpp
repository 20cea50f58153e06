#include "core/posterior/row_correlation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace rscvi {
namespace {

constexpr int digit_bits = 11;
constexpr int n_digits = 3;  // of the 32 bits that hold the value
constexpr std::size_t n_buckets = std::size_t{1} << digit_bits;

// The value's order in the upper half, its place in the lower half.
std::uint64_t to_key(float value, std::size_t place) {
  std::uint32_t bits;
  value += 0.0f;  // -0 is 0
  std::memcpy(&bits, &value, sizeof bits);
  constexpr std::uint32_t sign = std::uint32_t{1} << 31;
  bits = bits & sign ? ~bits : bits | sign;
  return std::uint64_t{bits} << 32 | place;
}

std::size_t digit_of(std::uint64_t key, int digit) { return (key >> (32 + digit * digit_bits)) & (n_buckets - 1); }

// By radix, in linear time: a comparison of random numbers is one that no processor can predict.
void sort_keys(std::vector<std::uint64_t>& keys, std::vector<std::uint64_t>& buffer) {
  std::array<std::array<std::uint32_t, n_buckets>, n_digits> starts{};
  for (const std::uint64_t key : keys) {
    for (int digit = 0; digit < n_digits; ++digit) ++starts[digit][digit_of(key, digit)];
  }
  for (int digit = 0; digit < n_digits; ++digit) {
    std::uint32_t start = 0;
    for (std::uint32_t& count : starts[digit]) {
      const std::uint32_t here = count;
      count = start;
      start += here;
    }
    for (const std::uint64_t key : keys) buffer[starts[digit][digit_of(key, digit)]++] = key;
    keys.swap(buffer);
  }
}

void rank_row(float* row, std::vector<std::uint64_t>& keys, std::vector<std::uint64_t>& buffer) {
  const std::size_t n = keys.size();
  for (std::size_t k = 0; k < n; ++k) keys[k] = to_key(row[k], k);
  sort_keys(keys, buffer);
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    while (end < n && keys[end] >> 32 == keys[begin] >> 32) ++end;
    const float rank = static_cast<float>(0.5 * static_cast<double>(begin + 1 + end));
    for (std::size_t k = begin; k < end; ++k) row[keys[k] & 0xffffffffu] = rank;
  }
}

// To mean 0 and length 1; a constant row becomes NaN.
void standardise(float* row, std::int64_t n) {
  const auto [low, high] = std::minmax_element(row, row + n);
  if (*low == *high) {
    std::fill(row, row + n, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  double mean = 0, squares = 0;
  for (std::int64_t k = 0; k < n; ++k) mean += row[k];
  mean /= static_cast<double>(n);
  for (std::int64_t k = 0; k < n; ++k) squares += (row[k] - mean) * (row[k] - mean);
  const double length = std::sqrt(squares);
  for (std::int64_t k = 0; k < n; ++k) row[k] = static_cast<float>((row[k] - mean) / length);
}

// Inner products of some rows with some others, (I, J) double. In single precision over a thousand columns, which is
// what matrix products are fast at, and as many as a BLAS that adds one by one can take; sums of those in double.
at::Tensor inner_products(const at::Tensor& some, const at::Tensor& others) {
  constexpr std::int64_t columns_at_once = 1024;
  at::Tensor total = at::zeros({some.size(0), others.size(0)}, at::kDouble);
  for (std::int64_t first = 0; first < some.size(1); first += columns_at_once) {
    const std::int64_t n = std::min(columns_at_once, some.size(1) - first);
    total += at::matmul(some.narrow(1, first, n), others.narrow(1, first, n).t());
  }
  return total;
}

}  // namespace

void rank_rows(at::Tensor& rows) {
  const std::int64_t n = rows.size(1);
  float* data = rows.data_ptr<float>();
  at::parallel_for(0, rows.size(0), /*grain_size=*/1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint64_t> keys(n), buffer(n);
    for (std::int64_t row = begin; row < end; ++row) rank_row(data + row * n, keys, buffer);
  });
}

void add_row_correlations(at::Tensor& rows, double weight, at::Tensor& total) {
  constexpr std::int64_t rows_at_once = 512;
  const std::int64_t n_rows = rows.size(0), n = rows.size(1);
  float* data = rows.data_ptr<float>();
  at::parallel_for(0, n_rows, /*grain_size=*/1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) standardise(data + row * n, n);
  });
  for (std::int64_t i = 0; i < n_rows; i += rows_at_once) {
    const std::int64_t n_i = std::min(rows_at_once, n_rows - i);
    for (std::int64_t j = 0; j <= i; j += rows_at_once) {
      const std::int64_t n_j = std::min(rows_at_once, n_rows - j);
      at::Tensor part = inner_products(rows.narrow(0, i, n_i), rows.narrow(0, j, n_j)).clamp_(-1.0, 1.0);
      if (i == j) {
        part = at::tril(part, -1);
        part = (part + part.t()).fill_diagonal_(1.0);  // a matrix product need not be symmetric to the last bit
      }
      total.narrow(0, i, n_i).narrow(1, j, n_j).add_(part, weight);
      if (i != j) total.narrow(0, j, n_j).narrow(1, i, n_i).add_(part.t(), weight);
    }
  }
}

}  // namespace rscvi
