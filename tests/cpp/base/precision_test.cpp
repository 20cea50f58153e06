#include "core/base/precision.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("precision: by name") {
  CHECK(parse_precision("single") == Precision::single);
  CHECK(parse_precision("bfloat16") == Precision::bfloat16);
  CHECK_THROWS_WITH_AS(parse_precision("half"), "precision must be \"single\" or \"bfloat16\", not \"half\"",
                       InvalidArgument);
}

TEST_CASE("precision: single, but for a scope that says otherwise, and as before after it") {
  CHECK(precision() == Precision::single);
  {
    const PrecisionScope outer(Precision::bfloat16);
    CHECK(precision() == Precision::bfloat16);
    {
      const PrecisionScope inner(Precision::single);
      CHECK(precision() == Precision::single);
    }
    CHECK(precision() == Precision::bfloat16);
  }
  CHECK(precision() == Precision::single);
}
