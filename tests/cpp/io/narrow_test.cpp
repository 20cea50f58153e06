#include "core/io/narrow.h"

#include <cstring>
#include <limits>

#include "core/io/dtype.h"
#include "test.h"

using namespace rscvi::io;

namespace {

Dtype narrowest_of(const std::vector<double>& x) { return narrowest(x.data(), x.size()); }
Dtype narrowest_of(const std::vector<std::int32_t>& x) { return narrowest(x.data(), x.size()); }

template <class T>
void check_round_trip(const std::vector<T>& x) {
  const Dtype dtype = narrowest_of(x);
  const std::vector<char> bytes = converted(x.data(), x.size(), dtype);
  REQUIRE(bytes.size() == x.size() * size_of(dtype));
  with_type(dtype, [&](auto example) {
    for (std::size_t k = 0; k < x.size(); ++k) {
      std::memcpy(&example, bytes.data() + k * sizeof(example), sizeof(example));
      const T back = static_cast<T>(example);
      CHECK(std::memcmp(&back, &x[k], sizeof(T)) == 0);
    }
  });
}

double nan_with_payload(std::uint64_t payload) {
  const std::uint64_t bits = 0x7FF0000000000000 | payload;
  double out;
  std::memcpy(&out, &bits, sizeof(out));
  return out;
}

}  // namespace

TEST_CASE("narrowest: at the edges of each type") {
  CHECK(narrowest_of(std::vector<double>{}) == Dtype::u8);
  CHECK(narrowest_of(std::vector<double>{0, 255}) == Dtype::u8);
  CHECK(narrowest_of(std::vector<double>{256}) == Dtype::u16);
  CHECK(narrowest_of(std::vector<double>{65535}) == Dtype::u16);
  CHECK(narrowest_of(std::vector<double>{65536}) == Dtype::i32);
  CHECK(narrowest_of(std::vector<double>{-1}) == Dtype::i32);
  CHECK(narrowest_of(std::vector<double>{2147483647.0, -2147483648.0}) == Dtype::i32);
  CHECK(narrowest_of(std::vector<double>{2147483648.0}) == Dtype::f32);
  CHECK(narrowest_of(std::vector<double>{2147483649.0}) == Dtype::f64);
  CHECK(narrowest_of(std::vector<double>{0.5}) == Dtype::f32);
  CHECK(narrowest_of(std::vector<double>{0.1}) == Dtype::f64);
  CHECK(narrowest_of(std::vector<double>{0.5, 1e300}) == Dtype::f64);
  CHECK(narrowest_of(std::vector<std::int32_t>{0, 255}) == Dtype::u8);
  CHECK(narrowest_of(std::vector<std::int32_t>{65535}) == Dtype::u16);
  CHECK(narrowest_of(std::vector<std::int32_t>{65536}) == Dtype::i32);
  CHECK(narrowest_of(std::vector<std::int32_t>{1, -2147483647 - 1}) == Dtype::i32);  // R's NA
}

TEST_CASE("narrowest: the sign of zero and the payload of NaN are not lost") {
  CHECK(narrowest_of(std::vector<double>{-0.0}) == Dtype::f32);
  CHECK(narrowest_of(std::vector<double>{nan_with_payload(1954)}) == Dtype::f64);  // R's NA
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(narrowest_of(std::vector<double>{inf, -inf}) == Dtype::f32);
  CHECK(narrowest_of(std::vector<double>{std::numeric_limits<double>::denorm_min()}) == Dtype::f64);
  CHECK(narrowest_of(std::vector<double>{std::numeric_limits<float>::denorm_min()}) == Dtype::f32);
}

TEST_CASE("narrowest: all values come back bit for bit") {
  const double inf = std::numeric_limits<double>::infinity();
  check_round_trip<double>({0, 1, 255});
  check_round_trip<double>({0, 65535});
  check_round_trip<double>({-5, 70000});
  check_round_trip<double>({-0.0, 0.25, inf, -inf, std::numeric_limits<float>::denorm_min()});
  check_round_trip<double>({-0.0, 0.1, inf, std::numeric_limits<double>::denorm_min(), nan_with_payload(1954)});
  check_round_trip<std::int32_t>({0, 1, 255});
  check_round_trip<std::int32_t>({0, 256});
  check_round_trip<std::int32_t>({-2147483647 - 1, 2147483647});
}
