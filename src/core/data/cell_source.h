// Where counts come from: anything that can hand out the counts of a list of cells.
#pragma once

#include <cstdint>
#include <vector>

namespace rscvi {

// Counts of some cells, compressed by row: row r has entries indptr[r] .. indptr[r + 1] - 1.
struct CsrBlock {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> gene;
  std::vector<float> value;
};

class CellSource {
 public:
  virtual ~CellSource() = default;
  virtual std::int64_t n_cells() const = 0;
  virtual std::int64_t n_genes() const = 0;

  // Replaces `block` by the counts of cells[0 .. n - 1], one row a cell, in that order; a cell may be asked for twice.
  virtual void read(const std::int64_t* cells, std::int64_t n, CsrBlock& block) const = 0;
};

// The in-memory source: the p, i and x arrays of a genes x cells column-compressed matrix (R's dgCMatrix), used in
// place. The arrays belong to somebody else, who keeps them alive and unchanged as long as this object lives.
class CompressedCells final : public CellSource {
 public:
  CompressedCells(const std::int32_t* p, const std::int32_t* i, const double* x, std::int64_t n_genes,
                  std::int64_t n_cells);
  std::int64_t n_cells() const override { return n_cells_; }
  std::int64_t n_genes() const override { return n_genes_; }
  void read(const std::int64_t* cells, std::int64_t n, CsrBlock& block) const override;

 private:
  const std::int32_t* p_;
  const std::int32_t* i_;
  const double* x_;
  std::int64_t n_genes_;
  std::int64_t n_cells_;
};

}  // namespace rscvi
