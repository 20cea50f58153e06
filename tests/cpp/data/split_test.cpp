#include "core/data/split.h"

#include <algorithm>

#include "core/base/errors.h"
#include "test.h"

using namespace rscvi;

namespace {

Split split(std::int64_t n, double train_size, std::optional<double> test_size = std::nullopt,
            std::uint64_t seed = 0) {
  RandomStream random(seed);
  return split_cells(n, train_size, test_size, random);
}

std::vector<std::size_t> sizes(const Split& s) { return {s.train.size(), s.test.size(), s.validation.size()}; }

using Sizes = std::vector<std::size_t>;

}  // namespace

TEST_CASE("split: training cells round down, test cells round up, the rest validates") {
  CHECK(sizes(split(10, 0.9)) == Sizes{9, 1, 0});
  CHECK(sizes(split(11, 0.9)) == Sizes{9, 2, 0});
  CHECK(sizes(split(10, 1.0)) == Sizes{10, 0, 0});
  CHECK(sizes(split(10, 0.55)) == Sizes{5, 5, 0});
  CHECK(sizes(split(10, 0.5, 0.25)) == Sizes{5, 3, 2});
  CHECK(sizes(split(10, 0.5, 0.0)) == Sizes{5, 0, 5});
  CHECK(sizes(split(7, 0.5, 0.5)) == Sizes{3, 4, 0});
  CHECK(sizes(split(1, 1.0)) == Sizes{1, 0, 0});
}

TEST_CASE("split: every cell is in exactly one set") {
  const Split s = split(100, 0.6, 0.3);
  std::vector<std::int64_t> all = s.train;
  all.insert(all.end(), s.test.begin(), s.test.end());
  all.insert(all.end(), s.validation.begin(), s.validation.end());
  std::sort(all.begin(), all.end());
  REQUIRE(all.size() == 100);
  for (std::int64_t cell = 0; cell < 100; ++cell) CHECK(all[cell] == cell);
}

TEST_CASE("split: one permutation, test cells first, training cells next") {
  RandomStream random(4);
  const std::vector<std::int64_t> order = random.permutation(20);
  const Split s = split(20, 0.5, 0.2, 4);
  CHECK(s.test == std::vector<std::int64_t>(order.begin(), order.begin() + 4));
  CHECK(s.train == std::vector<std::int64_t>(order.begin() + 4, order.begin() + 14));
  CHECK(s.validation == std::vector<std::int64_t>(order.begin() + 14, order.end()));
}

TEST_CASE("split: the seed decides") {
  CHECK(split(50, 0.9, std::nullopt, 1).test == split(50, 0.9, std::nullopt, 1).test);
  CHECK(split(50, 0.9, std::nullopt, 1).test != split(50, 0.9, std::nullopt, 2).test);
}

TEST_CASE("split: sizes that cannot be are refused") {
  for (const double train_size : {0.0, -0.5, 1.5}) {
    CHECK_THROWS_WITH_AS(split(10, train_size), "train_size must be in (0, 1]", InvalidArgument);
  }
  for (const double test_size : {-0.1, 1.0}) {
    CHECK_THROWS_WITH_AS(split(10, 0.5, test_size), "test_size must be in [0, 1)", InvalidArgument);
  }
  CHECK_THROWS_WITH_AS(split(10, 0.05), "train_size leaves no training cell among 10 cells", InvalidArgument);
  CHECK_THROWS_WITH_AS(split(10, 0.8, 0.3),
                       "train_size and test_size together ask for 11 cells, but the data set has 10", InvalidArgument);
}
