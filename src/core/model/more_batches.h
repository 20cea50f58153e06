// Room for batches that a trained model has not seen (the surgery of scArches: Lotfollahi et al. 2022, Nature
// Biotechnology 40:121).
#pragma once

#include "core/model/columns.h"
#include "core/model/vae.h"

namespace rscvi {

// A model that knows `n_new` batches more, behind those that `model` has; what it says of cells of these is the same to
// the bit (up to rounding where a linear decoder multiplies a wider matrix). A new batch starts as the mean of the
// known ones. InvalidArgument for a model that has no batches.
Vae with_more_batches(const Vae& model, std::int64_t n_new);

// The columns that belong to batches first, first + 1, ... alone, of every weight that has such.
std::vector<Columns> columns_of_batches(const VaeImpl& model, std::int64_t first, std::int64_t n);

}  // namespace rscvi
