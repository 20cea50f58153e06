#include "core/base/matrix_product.h"

#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/instruction_set.h"
#include "core/base/random.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr double rounding = 2e-6;  // of sums of a few hundred products of float, relative to the largest

double error_of(const at::Tensor& product, const at::Tensor& expected) {
  return ((product.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>();
}

// A matrix in every way that it may lie in memory: by rows, by columns, as a part of a larger one by rows and by
// columns, and every other column of one.
std::vector<at::Tensor> layouts_of(const at::Tensor& x) {
  const at::Tensor wide = at::full({x.size(0) + 3, 2 * x.size(1) + 5}, 1e30F);
  const at::Tensor by_rows = wide.clone().narrow(0, 1, x.size(0)).narrow(1, 2, x.size(1));
  const at::Tensor by_columns =
      wide.t().contiguous().t().narrow(0, 1, x.size(0)).narrow(1, 2, x.size(1));
  const at::Tensor spread = wide.clone().narrow(0, 0, x.size(0)).slice(1, 1, 1 + 2 * x.size(1), 2);
  for (at::Tensor part : {by_rows, by_columns, spread}) part.copy_(x);
  return {x, x.t().contiguous().t(), by_rows, by_columns, spread};
}

}  // namespace

TEST_CASE("matrix product: of matrices however they lie in memory, of one row, column or number, too") {
  RandomStream random(1);
  for (const auto& [m, k, n] : std::vector<std::array<std::int64_t, 3>>{
           {1, 1, 1}, {1, 5, 1}, {1, 5, 7}, {6, 1, 7}, {6, 5, 1}, {3, 128, 10}, {128, 10, 65}, {33, 257, 130}}) {
    const at::Tensor left = random.normal({m, k}, c10::kCPU), right = random.normal({k, n}, c10::kCPU);
    const at::Tensor expected = at::mm(left.to(at::kDouble), right.to(at::kDouble));
    const at::Tensor start = random.normal({m, n}, c10::kCPU);
    for (const at::Tensor& a : layouts_of(left)) {
      for (const at::Tensor& b : layouts_of(right)) {
        CHECK(error_of(matrix_product(a, b), expected) < rounding);
        at::Tensor sum = start.clone();
        add_matrix_product(a, b, sum);
        CHECK(error_of(sum, expected + start) < rounding);
      }
    }
  }
  const at::Tensor row = random.normal({1, 9}, c10::kCPU), b = random.normal({9, 4}, c10::kCPU);
  CHECK(error_of(matrix_product(row.expand({5, 9}), b), at::mm(row.expand({5, 9}).to(at::kDouble), b.to(at::kDouble))) <
        rounding);
}

TEST_CASE("matrix product: of nothing is nothing, over nothing is zero") {
  CHECK(matrix_product(at::ones({0, 3}), at::ones({3, 2})).sizes() == at::IntArrayRef({0, 2}));
  CHECK(matrix_product(at::ones({2, 3}), at::ones({3, 0})).sizes() == at::IntArrayRef({2, 0}));
  CHECK(same_bits(matrix_product(at::ones({2, 0}), at::ones({0, 3})), at::zeros({2, 3})));
  at::Tensor sum = at::ones({2, 3});
  add_matrix_product(at::ones({2, 0}), at::ones({0, 3}), sum);
  CHECK(same_bits(sum, at::ones({2, 3})));
}

TEST_CASE("matrix product: double stays double, and sizes that do not fit are LibTorch's to refuse") {
  RandomStream random(2);
  const at::Tensor a = random.normal({4, 6}, c10::kCPU).to(at::kDouble), b = a.t().contiguous();
  CHECK(same_bits(matrix_product(a, b), at::mm(a, b)));
  CHECK_THROWS(matrix_product(at::ones({2, 3}), at::ones({2, 3})));
  at::Tensor sum = at::ones({2, 2});
  CHECK_THROWS(add_matrix_product(at::ones({2, 3}), at::ones({3, 3}), sum));
}

#ifdef __linux__
TEST_CASE("matrix product: oneDNN's is found where LibTorch has it beside it") {
  std::ifstream maps("/proc/self/maps");
  bool has_library = false;
  for (std::string line; std::getline(maps, line);) {
    has_library = has_library || line.find("/libdnnl.so") != std::string::npos;
  }
  if (has_library) CHECK(has_onednn_products() == (best_instruction_set() != InstructionSet::portable));
}
#endif
