#include "core/differential/unsorted_order.h"

#include <cmath>
#include <limits>
#include <random>

#include "test.h"

using namespace rscvi;

namespace {

std::int64_t by_pairs(const std::vector<float>& x, const std::vector<float>& y) {
  std::int64_t count = 0;
  for (const float a : x) {
    for (const float b : y) count += a > b ? 1 : 0;
  }
  return count;
}

std::vector<float> draw(std::size_t n, double mean, double sd, std::mt19937& engine) {
  std::normal_distribution<double> normal(mean, sd);
  std::vector<float> out(n);
  for (float& value : out) value = static_cast<float>(std::exp(normal(engine)));
  return out;
}

}  // namespace

TEST_CASE("unsorted order: what forming the pairs gives, for populations alike and apart, of any size") {
  std::mt19937 engine(1);
  for (const std::size_t nx : {1, 2, 9, 700}) {
    for (const std::size_t ny : {1, 8, 33, 1000}) {
      for (const double shift : {0.0, 0.5, 30.0}) {
        for (const double sd : {0.01, 1.0, 8.0}) {
          const std::vector<float> x = draw(nx, -9, sd, engine), y = draw(ny, -9 + shift, sd, engine);
          REQUIRE(count_above_unsorted(x, y).has_value());
          CHECK(*count_above_unsorted(x, y) == by_pairs(x, y));
        }
      }
    }
  }
}

TEST_CASE("unsorted order: ties are not above, zeros of both signs are one, negative samples have their place") {
  std::mt19937 engine(2);
  std::uniform_int_distribution<int> whole(-20, 20);
  std::vector<float> x(400), y(300);
  for (float& value : x) value = static_cast<float>(whole(engine)) / 8;
  for (float& value : y) value = static_cast<float>(whole(engine)) / 8;
  for (const std::size_t k : {3, 50, 120}) x[k] = y[k] = -0.0F;
  for (const std::size_t k : {4, 51, 121}) x[k] = y[k] = 0.0F;
  const auto count = count_above_unsorted(x, y);
  REQUIRE(count.has_value());
  CHECK(*count == by_pairs(x, y));
  CHECK(count_above_unsorted({0.0F, -0.0F}, {-0.0F, 0.0F}) == 0);
  CHECK(count_above_unsorted({1.0F}, {1.0F}) == 0);
  CHECK(count_above_unsorted({}, {1.0F}) == 0);
  const float most = std::numeric_limits<float>::max(), least = std::numeric_limits<float>::denorm_min();
  CHECK(count_above_unsorted({-most, -least, 0, least, most}, {-most, -least, 0, least, most}) == 10);
}

TEST_CASE("unsorted order: samples that crowd in one bucket, or are not finite, are left to sorting") {
  std::vector<float> x(3000, 1.0F), y(3000, 1.0F);
  y[7] = 1e30F;  // so that all others share a bucket
  CHECK_FALSE(count_above_unsorted(x, y).has_value());
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_FALSE(count_above_unsorted({1.0F, bad}, {1.0F}).has_value());
    CHECK_FALSE(count_above_unsorted({1.0F}, {bad, 2.0F}).has_value());
  }
}
