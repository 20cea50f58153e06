// A classifier, a data set and some of its cells: what a posterior is to a model of counts.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/model/cell_classifier.h"

namespace rscvi {

struct ClassifiedCells {
  CellClassifier classifier;
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::int64_t> cells;  // 0-based, in the order of the results
  std::int64_t batch_size = 128;
  CountsKind counts = CountsKind::observed;
  std::function<void()> poll;  // as of a Posterior
};

// q(y | x) of every cell, (n, K) float32 on the CPU.
at::Tensor label_probabilities(const ClassifiedCells& cells);

// Share of the cells with a label whose label is the most probable one; NaN if none has a label.
double accuracy(const ClassifiedCells& cells);

}  // namespace rscvi
