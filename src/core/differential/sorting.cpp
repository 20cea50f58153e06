#include "core/differential/sorting.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace rscvi {
namespace {

constexpr int digit_bits = 8;
constexpr int n_digits = 64 / digit_bits;
constexpr std::size_t n_buckets = std::size_t{1} << digit_bits;
constexpr std::size_t radix_from = 256;  // below, comparisons are faster

// Unsigned integers in the order of the doubles: negative numbers have all bits flipped, others the sign bit.
std::uint64_t to_key(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint64_t sign = std::uint64_t{1} << 63;
  return bits & sign ? ~bits : bits | sign;
}

double from_key(std::uint64_t key) {
  const std::uint64_t sign = std::uint64_t{1} << 63;
  const std::uint64_t bits = key & sign ? key & ~sign : ~key;
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::size_t digit_of(std::uint64_t key, int digit) { return (key >> (digit * digit_bits)) & (n_buckets - 1); }

}  // namespace

void sort_values(std::vector<double>& values) {
  const std::size_t n = values.size();
  if (n < radix_from) {
    std::sort(values.begin(), values.end());
    return;
  }
  std::vector<std::uint64_t> keys(n), buffer(n);
  std::array<std::array<std::uint32_t, n_buckets>, n_digits> counts{};
  for (std::size_t k = 0; k < n; ++k) {
    keys[k] = to_key(values[k]);
    for (int digit = 0; digit < n_digits; ++digit) ++counts[digit][digit_of(keys[k], digit)];
  }
  for (int digit = 0; digit < n_digits; ++digit) {
    // Scales come from single precision and lie close together: many digits are the same in all of them.
    if (counts[digit][digit_of(keys[0], digit)] == n) continue;
    std::uint32_t start = 0;
    for (std::uint32_t& count : counts[digit]) {
      const std::uint32_t here = count;
      count = start;
      start += here;
    }
    for (const std::uint64_t key : keys) buffer[counts[digit][digit_of(key, digit)]++] = key;
    keys.swap(buffer);
  }
  for (std::size_t k = 0; k < n; ++k) values[k] = from_key(keys[k]);
}

}  // namespace rscvi
