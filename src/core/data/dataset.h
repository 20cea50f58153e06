// What a model is trained on, as the core sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/data/cell_source.h"

namespace rscvi {

// One element a cell in every vector; codes are 0-based and below n_batch (n_labels).
struct Dataset {
  std::shared_ptr<const CellSource> counts;
  std::shared_ptr<const CellSource> corrupted;  // null unless the counts were corrupted
  std::vector<std::int64_t> batch;
  std::vector<std::int64_t> label;
  // Further covariates, each with one code or value a cell.
  std::vector<std::vector<std::int64_t>> categorical;
  std::vector<std::vector<double>> continuous;
  std::vector<float> local_mean;  // mean of log library size in the cell's batch
  std::vector<float> local_var;   // its variance
  std::int64_t n_batch = 1;
  std::int64_t n_labels = 1;

  std::int64_t n_cells() const { return counts->n_cells(); }
  std::int64_t n_genes() const { return counts->n_genes(); }
};

}  // namespace rscvi
