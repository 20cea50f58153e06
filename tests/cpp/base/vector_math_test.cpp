#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/instruction_set.h"
#include "test.h"

using namespace rscvi;

namespace {

// One function over an array, so that each instruction set's vectors can be tried from outside.
#define RSCVI_KERNELS "base/vector_functions.inl"
#include "core/base/for_each_target.inl"

constexpr InstructionSet all_sets[] = {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512};

template <class T>
using Function = void (*)(const T*, std::int64_t, T*);

// Largest error in units of the last place, from `low` to `high`, evenly in x or in ln x.
template <class T>
double largest_error(Function<T> tried, const std::function<long double(long double)>& exact, double low, double high,
                     bool evenly_in_log) {
  constexpr std::int64_t n = 16000;
  std::vector<T> x(n), y(n);
  for (std::int64_t k = 0; k < n; ++k) {
    const double share = static_cast<double>(k) / (n - 1);
    x[k] = static_cast<T>(evenly_in_log ? low * std::pow(high / low, share) : low + (high - low) * share);
  }
  tried(x.data(), n, y.data());
  double worst = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    const long double expected = exact(x[k]);
    const T rounded = std::abs(static_cast<T>(expected));
    const double unit = std::nextafter(rounded, std::numeric_limits<T>::infinity()) - rounded;
    worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(y[k]) - expected)) / unit);
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("vector math: exp, log and log1p are within 2 units in the last place", T, float, double) {
  const double most = sizeof(T) == 4 ? 87 : 708, tiny = sizeof(T) == 4 ? 1e-37 : 1e-300;
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    CAPTURE(static_cast<int>(set));
    const Function<T> exp = RSCVI_CHOOSE_KERNEL(exp_all<T>), log = RSCVI_CHOOSE_KERNEL(log_all<T>),
                      log1p = RSCVI_CHOOSE_KERNEL(log1p_all<T>);
    const auto exact_exp = [](long double v) { return std::exp(v); };
    const auto exact_log = [](long double v) { return std::log(v); };
    const auto exact_log1p = [](long double v) { return std::log1p(v); };
    CHECK(largest_error<T>(exp, exact_exp, -most, most, false) < 2);
    CHECK(largest_error<T>(exp, exact_exp, 1e-9, 1, true) < 2);
    CHECK(largest_error<T>(log, exact_log, tiny, 1 / tiny, true) < 2);
    CHECK(largest_error<T>(log, exact_log, 0.5, 2, false) < 2);
    CHECK(largest_error<T>(log1p, exact_log1p, 1e-12, 1e38, true) < 2);
  }
}

TEST_CASE_TEMPLATE("vector math: beyond its range exp is what it is at the end of it", T, float, double) {
  const std::vector<T> x = {T(-1e30), T(-1000), T(1000), T(1e30)};
  std::vector<T> y(4);
  RSCVI_CHOOSE_KERNEL(exp_all<T>)(x.data(), 4, y.data());
  CHECK(y[0] == y[1]);
  CHECK(y[2] == y[3]);
  CHECK(y[0] > 0);
  CHECK(std::isfinite(y[3]));
}

TEST_CASE_TEMPLATE("vector math: the logarithm of a product that no number holds", T, float, double) {
  for (const InstructionSet set : all_sets) {
    const InstructionSetScope scope(set);
    std::vector<T> x;
    double expected = 0;
    for (int k = 0; k < 1003; ++k) {
      x.push_back(static_cast<T>(std::exp(k % 3 == 0 ? -60.0 - 0.01 * k : 20.0 + 0.013 * k)));
      expected += std::log(static_cast<double>(x.back()));
    }
    const double sum = RSCVI_CHOOSE_KERNEL(log_of_product<T>)(x.data(), static_cast<std::int64_t>(x.size()));
    CHECK(sum == doctest::Approx(expected).epsilon(sizeof(T) == 4 ? 1e-6 : 1e-13));
  }
}
