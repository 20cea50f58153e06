#include "core/io/narrow.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/io/dtype.h"

namespace rscvi::io {
namespace {

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

template <class To, class From>
bool holds(From value) {
  if constexpr (std::is_integral_v<To>) {
    // Asked first: the conversion is undefined outside the range. NaN fails here.
    if (!(value >= std::numeric_limits<To>::min() && value <= std::numeric_limits<To>::max())) return false;
  }
  return same_bits(static_cast<From>(static_cast<To>(value)), value);
}

template <class To, class From>
bool hold(const From* values, std::size_t n) {
  return std::all_of(values, values + n, [](From value) { return holds<To>(value); });
}

template <class From>
std::vector<char> convert(const From* values, std::size_t n, Dtype dtype) {
  std::vector<char> bytes(n * size_of(dtype));
  with_type(dtype, [&](auto example) {
    using To = decltype(example);
    for (std::size_t k = 0; k < n; ++k) {
      const To value = static_cast<To>(values[k]);
      std::memcpy(bytes.data() + k * sizeof(To), &value, sizeof(To));
    }
  });
  return bytes;
}

}  // namespace

Dtype narrowest(const std::int32_t* values, std::size_t n) {
  if (hold<std::uint8_t>(values, n)) return Dtype::u8;
  if (hold<std::uint16_t>(values, n)) return Dtype::u16;
  return Dtype::i32;
}

Dtype narrowest(const double* values, std::size_t n) {
  if (hold<std::uint8_t>(values, n)) return Dtype::u8;
  if (hold<std::uint16_t>(values, n)) return Dtype::u16;
  if (hold<std::int32_t>(values, n)) return Dtype::i32;
  if (hold<float>(values, n)) return Dtype::f32;
  return Dtype::f64;
}

std::vector<char> converted(const std::int32_t* values, std::size_t n, Dtype dtype) {
  return convert(values, n, dtype);
}

std::vector<char> converted(const double* values, std::size_t n, Dtype dtype) { return convert(values, n, dtype); }

}  // namespace rscvi::io
