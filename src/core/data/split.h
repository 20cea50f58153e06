// Training, test and validation cells.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/random.h"

namespace rscvi {

struct Split {
  std::vector<std::int64_t> train, test, validation;  // 0-based cells
};

// One permutation of n cells: the first n_test are the test set, the next n_train the training set, the rest the
// validation set. n_train = floor(train_size * n); n_test = n - n_train, or ceil(*test_size * n).
// InvalidArgument unless 0 < train_size <= 1, 0 <= *test_size < 1 and both fit into n cells with n_train >= 1.
Split split_cells(std::int64_t n, double train_size, std::optional<double> test_size, RandomStream& random);

}  // namespace rscvi
