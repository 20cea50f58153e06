#include "core/api/dataset.h"

#include "core/base/errors.h"
#include "core/data/corruption.h"
#include "core/data/split.h"
#include "test.h"

using namespace rscvi;

TEST_CASE("api data set: corruption by name") {
  const std::vector<double> x(200, 50.0);
  RandomStream random(3);
  CHECK(api::corrupt_counts(x.data(), 200, 400, 0.5, "binomial", 3) ==
        corrupt_counts(x.data(), 200, 400, 0.5, Corruption::binomial, random));
  CHECK(api::corrupt_counts(x.data(), 200, 400, 0.5, "uniform", 3) !=
        api::corrupt_counts(x.data(), 200, 400, 0.5, "binomial", 3));
  CHECK_THROWS_WITH_AS(api::corrupt_counts(x.data(), 200, 400, 0.5, "gaussian", 3),
                       R"(corruption must be "uniform" or "binomial", not "gaussian")", InvalidArgument);
}

TEST_CASE("api data set: splits and permutations by seed") {
  RandomStream random(3);
  const Split expected = split_cells(40, 0.5, 0.25, random);
  const api::SplitCells split = api::split_cells(40, 0.5, 0.25, 3);
  CHECK(split.train == expected.train);
  CHECK(split.test == expected.test);
  CHECK(split.validation == expected.validation);
  CHECK(api::permutation(30, 5) == RandomStream(5).permutation(30));
}
