#include "core/data/cell_source.h"

namespace rscvi {

CompressedCells::CompressedCells(const std::int32_t* p, const std::int32_t* i, const double* x, std::int64_t n_genes,
                                 std::int64_t n_cells)
    : p_(p), i_(i), x_(x), n_genes_(n_genes), n_cells_(n_cells) {}

void CompressedCells::read(const std::int64_t* cells, std::int64_t n, CsrBlock& block) const {
  block.indptr.resize(n + 1);
  block.indptr[0] = 0;
  for (std::int64_t r = 0; r < n; ++r) {
    block.indptr[r + 1] = block.indptr[r] + (p_[cells[r] + 1] - p_[cells[r]]);
  }
  block.gene.resize(block.indptr[n]);
  block.value.resize(block.indptr[n]);
  for (std::int64_t r = 0; r < n; ++r) {
    std::int64_t to = block.indptr[r];
    for (std::int32_t from = p_[cells[r]]; from < p_[cells[r] + 1]; ++from, ++to) {
      block.gene[to] = i_[from];
      block.value[to] = static_cast<float>(x_[from]);
    }
  }
}

}  // namespace rscvi
