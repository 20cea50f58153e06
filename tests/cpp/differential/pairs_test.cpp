#include "core/differential/pairs.h"

#include <cmath>
#include <map>
#include <utility>

#include "core/base/errors.h"
#include "core/base/random.h"
#include "test.h"

using namespace rscvi;

namespace {
using Rows = std::vector<std::int64_t>;
}

TEST_CASE("pairs: one stratum a batch if both sides have the same batches, else one in all") {
  const std::vector<Stratum> two = strata_of({7, 2, 7}, {2, 7}, 3, 2);
  REQUIRE(two.size() == 2);
  CHECK(two[0].first == Rows{1});  // batch 2
  CHECK(two[0].second == Rows{0});
  CHECK(two[1].first == Rows{0, 2});
  CHECK(two[1].second == Rows{1});
  const std::vector<std::pair<Rows, Rows>> differing = {
      {{0, 1, 1}, {0, 0}}, {{0, 0, 0}, {1, 1}}, {{}, {}}, {{1, 2, 1}, {}}};
  for (const auto& batches : differing) {
    const std::vector<Stratum> one = strata_of(batches.first, batches.second, 3, 2);
    REQUIRE(one.size() == 1);
    CHECK(one[0].first == Rows{0, 1, 2});
    CHECK(one[0].second == Rows{0, 1});
  }
}

TEST_CASE("pairs: element by element within strata, which must have equal sides") {
  const Pairs pairs = elementwise_pairs({{{0, 3}, {1, 2}}, {{1}, {0}}});
  CHECK(pairs.first == Rows{0, 3, 1});
  CHECK(pairs.second == Rows{1, 2, 0});
  CHECK(pairs.size() == 3);
  CHECK_THROWS_AS(elementwise_pairs({{{0, 1}, {0}}}), InvalidArgument);
}

TEST_CASE("pairs: random pairs stay within their stratum, as many of each, and draw both sides independently") {
  const std::vector<Stratum> strata = {{{0, 1, 2, 3}, {10, 11, 12}}, {{4}, {13, 14}}};
  RandomStream random(1), same(1), other(2);
  const Pairs pairs = random_pairs(strata, 24001, random);
  const std::int64_t half = 12000;
  REQUIRE(pairs.size() == 2 * half);
  std::map<std::pair<std::int64_t, std::int64_t>, int> count;
  for (std::int64_t k = 0; k < pairs.size(); ++k) ++count[{pairs.first[k], pairs.second[k]}];
  CHECK(count.size() == 4 * 3 + 2);
  for (const auto& [pair, n] : count) {
    const bool of_first = pair.first < 4;
    CHECK((pair.second < 13) == of_first);
    // 1,000 (standard deviation 30) of each in the first stratum, 6,000 (55) in the second.
    CHECK(std::abs(n - (of_first ? 1000 : 6000)) < (of_first ? 150 : 275));
  }
  const Pairs again = random_pairs(strata, 24001, same), another = random_pairs(strata, 24001, other);
  CHECK(again.first == pairs.first);
  CHECK(again.second == pairs.second);
  CHECK(another.second != pairs.second);
  CHECK_THROWS_AS(random_pairs(strata, 1, random), InvalidArgument);
}
