// The data set, as the glue makes it. (These types know nothing of LibTorch, so they cross as they are.)
#pragma once

#include <optional>
#include <string>

#include "core/data/counts_check.h"
#include "core/data/dataset.h"

namespace rscvi::api {

// See core/data/corruption.h; `kind` is "uniform" or "binomial".
std::vector<double> corrupt_counts(const double* x, std::int64_t n_stored, std::int64_t n_entries_total, double rate,
                                   const std::string& kind, std::uint64_t seed);

// See core/data/split.h.
struct SplitCells {
  std::vector<std::int64_t> train, test, validation;
};
SplitCells split_cells(std::int64_t n, double train_size, std::optional<double> test_size, std::uint64_t seed);

// A random order of 0 .. n - 1.
std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed);

}  // namespace rscvi::api
