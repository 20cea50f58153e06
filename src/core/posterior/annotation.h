// What a model with a classifier says of the labels of cells.
#pragma once

#include "core/posterior/posterior.h"

namespace rscvi {

// q(y | x) of every cell, (n, K) float32 on the CPU. InvalidArgument for a model without a classifier.
at::Tensor label_probabilities(const Posterior& posterior);

// Share of the cells with a label whose label is the most probable one; NaN if none has a label.
double accuracy(const Posterior& posterior);
// The same from q(y | x) of some cells, in their order.
double accuracy(const at::Tensor& probabilities, const Dataset& dataset, const std::vector<std::int64_t>& cells);

}  // namespace rscvi
