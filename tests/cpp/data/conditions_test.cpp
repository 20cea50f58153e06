#include "core/data/conditions.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

Conditions three_cells() {
  return {at::tensor({0, 1, 1}, at::kLong), at::tensor({2, 0, 1}, at::kLong),
          at::tensor({0, 5, 1, 6, 2, 7}, at::kLong).view({3, 2}), matrix(3, {0.5, 1.5, 2.5})};
}

}  // namespace

TEST_CASE("conditions: repeated, cells one time after another") {
  const Conditions twice = repeated(three_cells(), 2);
  CHECK(at::equal(twice.batch_index, at::tensor({0, 1, 1, 0, 1, 1}, at::kLong)));
  CHECK(at::equal(twice.label, at::tensor({2, 0, 1, 2, 0, 1}, at::kLong)));
  CHECK(at::equal(twice.categorical.select(1, 1), at::tensor({5, 6, 7, 5, 6, 7}, at::kLong)));
  CHECK(same_bits(twice.continuous, matrix(6, {0.5, 1.5, 2.5, 0.5, 1.5, 2.5})));
}

TEST_CASE("conditions: some cells, one cell twice") {
  const Conditions some = select_cells(three_cells(), at::tensor({2, 0, 2}, at::kLong));
  CHECK(at::equal(some.batch_index, at::tensor({1, 0, 1}, at::kLong)));
  CHECK(at::equal(some.categorical, at::tensor({2, 7, 0, 5, 2, 7}, at::kLong).view({3, 2})));
  CHECK(same_bits(some.continuous, matrix(3, {2.5, 0.5, 2.5})));
}

TEST_CASE("conditions: parts one after another are the whole") {
  const Conditions whole = three_cells();
  const auto part = [&](std::vector<std::int64_t> rows) { return select_cells(whole, at::tensor(rows, at::kLong)); };
  const Conditions again = concatenated({part({0}), part({1, 2})});
  CHECK(at::equal(again.batch_index, whole.batch_index));
  CHECK(at::equal(again.label, whole.label));
  CHECK(at::equal(again.categorical, whole.categorical));
  CHECK(same_bits(again.continuous, whole.continuous));
}

TEST_CASE("conditions: another batch changes nothing else; what is not there stays away") {
  const Conditions whole = three_cells(), other = as_batch(whole, 4);
  CHECK(at::equal(other.batch_index, at::tensor({4, 4, 4}, at::kLong)));
  CHECK(at::equal(other.label, whole.label));
  CHECK(at::equal(as_batch(whole, std::nullopt).batch_index, whole.batch_index));
  const Conditions none = concatenated({repeated(Conditions(), 3), select_cells(Conditions(), at::tensor({0}))});
  for (const at::Tensor& tensor : {none.batch_index, none.label, none.categorical, none.continuous}) {
    CHECK_FALSE(tensor.defined());
  }
}
