// One number for each of some cells and each gene, most of them 0: counts, or a function of counts that keeps zeros.
//
// It is held as compressed rows, as a dense tensor, or both: whoever needs the other form gets it, and it is kept.
// Copies share what they hold, and nothing of it changes. It is data: gradients do not pass through it.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "core/data/cell_source.h"

namespace rscvi {

// The same entries gene by gene: gene g has entries indptr[g] .. indptr[g + 1] - 1, in the order of cells.
struct CscBlock {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> cell;
  std::vector<float> value;
};

class CellMatrix {
 public:
  CellMatrix() = default;
  CellMatrix(at::Tensor dense);  // (B, G), on any device, without a gradient; implicit: a tensor is all that it takes
  CellMatrix(CsrBlock rows, std::int64_t n_genes);

  bool defined() const { return state_ != nullptr; }
  std::int64_t n_cells() const;
  std::int64_t n_genes() const;
  c10::Device device() const;

  const at::Tensor& dense() const;  // (B, G); float32 if it was made from rows
  const CsrBlock& rows() const;     // explicit zeros are possible
  const CscBlock& columns() const;

  // Whether products with the rows are faster than with the dense tensor.
  bool prefers_rows() const;

  CellMatrix log1p() const;
  CellMatrix repeated(std::int64_t n) const;  // all cells, n times one after another
  at::Tensor totals() const;  // (B, 1), sums over genes
  CellMatrix to(c10::Device device) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace rscvi
