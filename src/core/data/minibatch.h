// Minibatches: what a model eats.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/data/cell_matrix.h"
#include "core/data/conditions.h"
#include "core/data/dataset.h"

namespace rscvi {

struct Minibatch : Conditions {
  CellMatrix x;             // (B, G) counts
  at::Tensor local_l_mean;  // (B, 1) float32
  at::Tensor local_l_var;   // (B, 1) float32

  std::int64_t size() const { return x.n_cells(); }
};

enum class CountsKind { observed, corrupted };

// InvalidArgument if there are none of that kind.
const CellSource& counts_of(const Dataset& dataset, CountsKind kind);

// Gathers cells[0 .. n - 1] in that order, on `device`. To a GPU counts go compressed, are made dense there, and the
// host does not wait: it gathers the next minibatch while the device works on this one. Untested on a GPU.
Minibatch gather_minibatch(const Dataset& dataset, const std::int64_t* cells, std::int64_t n, CountsKind kind,
                           c10::Device device);

// The same, but x stays undefined.
Minibatch gather_without_counts(const Dataset& dataset, const std::int64_t* cells, std::int64_t n, c10::Device device);

}  // namespace rscvi
