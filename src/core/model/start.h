// Where a model's parameters start when they start from the data rather than at random.
//
// scvi 0.6.8 draws ln theta from N(0, 1), and training hardly moves it: after 100 epochs it is still close to its draw.
// It starts the library's encoder at ln library sizes about 0, far from those of any data.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/data/dataset.h"
#include "core/model/vae.h"

namespace rscvi {

// What the model's options ask for, dispersion_start, library_start and scale_start, with the values of this data set;
// nothing if they ask for none. InvalidArgument if its genes, batches or labels are not as many as the model's.
void start_from_data(VaeImpl& model, const Dataset& dataset);

// ln of the negative binomial's inverse dispersion by moments, (G, n_groups). With mu = N p, N the number of counts of
// a cell and p the gene's share of all counts of the group, Var x = mu + mu^2 / theta, and so over the group's cells
//   theta = sum mu^2 / sum ((x - mu)^2 - x).
// The result lies in [-7, 5], which is also where genes that vary no more than a Poisson variable end. `group` has one
// code a cell, -1 for cells in none; a gene without counts in a group gets its value among all cells, or 0 where it has
// none there either.
at::Tensor moment_log_dispersion(const CellSource& counts, const std::vector<std::int64_t>& group,
                                 std::int64_t n_groups);

}  // namespace rscvi
