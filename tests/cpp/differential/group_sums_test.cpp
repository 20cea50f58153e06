#include "core/differential/group_sums.h"

#include "test.h"

using namespace rscvi;

TEST_CASE("group sums: counts, cells with a count, and counts beside the mean of their cell; a cell may come twice") {
  // Cells (columns): (2, 0, 1, 0), none, (0, 5, 0, 0), and (4, 0, 0, 4) with a stored 0.
  const std::vector<std::int32_t> p = {0, 2, 2, 3, 6}, i = {0, 2, 1, 0, 1, 3};
  const std::vector<double> x = {2, 1, 5, 4, 0, 4};
  const GroupSums sums = group_sums({p.data(), i.data(), x.data(), 4}, {0, 3, 1, 2, 2}, {0, 0, 0, 1, 1}, 2);
  CHECK(sums.counts == std::vector<double>{6, 0, 1, 4, 0, 10, 0, 0});
  CHECK(sums.detected == std::vector<double>{2, 0, 1, 1, 0, 2, 0, 0});
  const std::vector<double> normalised = {8.0 / 3 + 2, 0, 4.0 / 3, 2, 0, 8, 0, 0};
  for (std::size_t k = 0; k < normalised.size(); ++k) CHECK(sums.normalised[k] == doctest::Approx(normalised[k]));
}
