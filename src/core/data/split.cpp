#include "core/data/split.h"

#include <cmath>
#include <string>

#include "core/base/errors.h"

namespace rscvi {

Split split_cells(std::int64_t n, double train_size, std::optional<double> test_size, RandomStream& random) {
  if (!(train_size > 0 && train_size <= 1)) throw InvalidArgument("train_size must be in (0, 1]");
  if (test_size && !(*test_size >= 0 && *test_size < 1)) throw InvalidArgument("test_size must be in [0, 1)");
  const auto n_train = static_cast<std::int64_t>(std::floor(train_size * static_cast<double>(n)));
  const auto n_test =
      test_size ? static_cast<std::int64_t>(std::ceil(*test_size * static_cast<double>(n))) : n - n_train;
  if (n_train < 1) {
    throw InvalidArgument("train_size leaves no training cell among " + std::to_string(n) + " cells");
  }
  if (n_train + n_test > n) {
    throw InvalidArgument("train_size and test_size together ask for " + std::to_string(n_train + n_test) +
                          " cells, but the data set has " + std::to_string(n));
  }
  const std::vector<std::int64_t> order = random.permutation(n);
  Split split;
  split.test.assign(order.begin(), order.begin() + n_test);
  split.train.assign(order.begin() + n_test, order.begin() + n_test + n_train);
  split.validation.assign(order.begin() + n_test + n_train, order.end());
  return split;
}

}  // namespace rscvi
