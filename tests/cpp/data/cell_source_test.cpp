#include "core/data/cell_source.h"

#include "test.h"

using namespace rscvi;

namespace {

// Genes x cells: cell 0 = (1, 0, 2), cell 1 empty, cell 2 = (0, 0, 5) with an explicit zero, cell 3 = (7, 8, 9).
const std::vector<std::int32_t> p = {0, 2, 2, 4, 7};
const std::vector<std::int32_t> i = {0, 2, 0, 2, 0, 1, 2};
const std::vector<double> x = {1, 2, 0, 5, 7, 8, 9};
const CompressedCells source(p.data(), i.data(), x.data(), /*n_genes=*/3, /*n_cells=*/4);

CsrBlock read(const std::vector<std::int64_t>& cells) {
  CsrBlock block;
  source.read(cells.data(), static_cast<std::int64_t>(cells.size()), block);
  return block;
}

}  // namespace

TEST_CASE("cell source: knows its size") {
  CHECK(source.n_genes() == 3);
  CHECK(source.n_cells() == 4);
}

TEST_CASE("cell source: cells come in the order asked for, repeats and empty cells included") {
  const CsrBlock block = read({3, 1, 0, 3});
  CHECK(block.indptr == std::vector<std::int64_t>{0, 3, 3, 5, 8});
  CHECK(block.gene == std::vector<std::int32_t>{0, 1, 2, 0, 2, 0, 1, 2});
  CHECK(block.value == std::vector<float>{7, 8, 9, 1, 2, 7, 8, 9});
}

TEST_CASE("cell source: an explicit zero stays an entry") {
  const CsrBlock block = read({2});
  CHECK(block.gene == std::vector<std::int32_t>{0, 2});
  CHECK(block.value == std::vector<float>{0, 5});
}

TEST_CASE("cell source: a block that was used before is replaced") {
  CsrBlock block = read({3, 3, 3});
  const std::int64_t cell = 0;
  source.read(&cell, 1, block);
  CHECK(block.indptr == std::vector<std::int64_t>{0, 2});
  CHECK(block.gene == std::vector<std::int32_t>{0, 2});
  CHECK(block.value == std::vector<float>{1, 2});
  source.read(nullptr, 0, block);
  CHECK(block.indptr == std::vector<std::int64_t>{0});
  CHECK(block.value.empty());
}
