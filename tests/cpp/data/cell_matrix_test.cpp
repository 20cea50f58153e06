#include "core/data/cell_matrix.h"

#include <cmath>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

const at::Tensor& example() {
  static const at::Tensor dense = matrix(3, {0, 2, 0, 0, 1, 0, 3000, 0, 0, 0, 0, 0});
  return dense;
}

CellMatrix by_rows() { return CellMatrix(CellMatrix(example()).rows(), 4); }

}  // namespace

TEST_CASE("cell matrix: rows, columns and the dense form hold the same numbers") {
  const CellMatrix cells = by_rows();
  CHECK(cells.n_cells() == 3);
  CHECK(cells.n_genes() == 4);
  CHECK(cells.rows().indptr == std::vector<std::int64_t>{0, 1, 3, 3});
  CHECK(cells.rows().gene == std::vector<std::int32_t>{1, 0, 2});
  CHECK(cells.rows().value == std::vector<float>{2, 1, 3000});
  CHECK(cells.columns().indptr == std::vector<std::int64_t>{0, 1, 2, 3, 3});
  CHECK(cells.columns().cell == std::vector<std::int32_t>{1, 0, 1});
  CHECK(cells.columns().value == std::vector<float>{1, 2, 3000});
  CHECK(same_bits(cells.dense(), example()));
}

TEST_CASE("cell matrix: ln(1 + x), totals and repetition are the same in either form") {
  for (const CellMatrix& cells : {by_rows(), CellMatrix(example())}) {
    CHECK(max_difference(cells.log1p().dense(), at::log1p(example())) < 1e-6);
    CHECK(same_bits(cells.totals(), example().sum(1, true)));
    CHECK(same_bits(cells.repeated(3).dense(), example().repeat({3, 1})));
    CHECK(cells.repeated(3).n_cells() == 9);
  }
  CellMatrix fractions(CsrBlock{{0, 2}, {0, 1}, {0.5F, 1e6F}}, 2);
  CHECK(max_relative_difference(fractions.log1p().dense(), at::log1p(fractions.dense())) < 1e-6);
}

TEST_CASE("cell matrix: rows are preferred where few entries are not 0, and only where they were given") {
  CHECK(by_rows().prefers_rows());
  CHECK_FALSE(CellMatrix(example()).prefers_rows());
  CHECK_FALSE(CellMatrix(CellMatrix(at::ones({3, 4})).rows(), 4).prefers_rows());
}

TEST_CASE("cell matrix: no gradient could pass through it") {
  CHECK_THROWS_AS(CellMatrix(at::ones({2, 2}).requires_grad_(true)), InternalError);
}
