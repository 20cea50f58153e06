#include "core/data/minibatch.h"

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

Minibatch gather(const Dataset& dataset, const Cells& cells, CountsKind kind = CountsKind::observed) {
  return gather_minibatch(dataset, cells.data(), static_cast<std::int64_t>(cells.size()), kind, c10::kCPU);
}

}  // namespace

TEST_CASE("minibatch: everything about the cells, in the order asked for, a repeated cell included") {
  const Toy toy = toy_data();
  const Dataset& dataset = *toy.dataset;
  const Cells cells = {17, 3, 3, 59, 0};
  const Minibatch minibatch = gather(dataset, cells);
  REQUIRE(minibatch.size() == 5);
  CHECK(same_bits(minibatch.x.dense(), toy.x.index_select(0, at::tensor(cells))));
  REQUIRE(minibatch.local_l_mean.numel() == 5);
  REQUIRE(minibatch.local_l_var.numel() == 5);
  for (std::size_t k = 0; k < cells.size(); ++k) {
    CHECK(minibatch.local_l_mean[k].item<float>() == dataset.local_mean[cells[k]]);
    CHECK(minibatch.local_l_var[k].item<float>() == dataset.local_var[cells[k]]);
    CHECK(minibatch.batch_index[k].item<std::int64_t>() == dataset.batch[cells[k]]);
    CHECK(minibatch.label[k].item<std::int64_t>() == dataset.label[cells[k]]);
  }
}

TEST_CASE("minibatch: further covariates, a column each; undefined where there are none") {
  Toy toy = toy_data();
  CHECK_FALSE(gather(*toy.dataset, {3}).categorical.defined());
  CHECK_FALSE(gather(*toy.dataset, {3}).continuous.defined());
  std::vector<std::int64_t> code(60);
  std::vector<double> value(60);
  for (std::int64_t cell = 0; cell < 60; ++cell) code[cell] = cell % 7, value[cell] = 0.5 * static_cast<double>(cell);
  toy.dataset->categorical = {code, toy.dataset->batch};
  toy.dataset->continuous = {value};
  const Minibatch minibatch = gather(*toy.dataset, {17, 3, 3});
  CHECK(at::equal(minibatch.categorical.select(1, 0), at::tensor({3, 3, 3}, at::kLong)));
  CHECK(at::equal(minibatch.categorical.select(1, 1), minibatch.batch_index));
  CHECK(same_bits(minibatch.continuous.to(at::kFloat), matrix(3, {8.5, 1.5, 1.5})));
}

TEST_CASE("minibatch: an empty cell is a row of zeros, an explicit zero is a zero") {
  const auto counts = compress(matrix(3, {1, 2, 0, 0, 4, 0}));
  counts->x[2] = 0;  // the 4 of the last cell
  Dataset dataset;
  dataset.counts = source_of(counts);
  dataset.batch = dataset.label = {0, 0, 0};
  dataset.local_mean = dataset.local_var = {1, 1, 1};
  CHECK(same_bits(gather(dataset, {2, 1, 0}).x.dense(), matrix(3, {0, 0, 0, 0, 1, 2})));
}

TEST_CASE("minibatch: corrupted counts when asked for, an error if there are none") {
  Toy toy = toy_data();
  CHECK_THROWS_WITH_AS(gather(*toy.dataset, {0}, CountsKind::corrupted),
                       "corrupted counts were asked for, but the data set has none; corrupt() makes them",
                       InvalidArgument);
  toy.dataset->corrupted = source_of(compress(toy.x * 2));
  CHECK(same_bits(gather(*toy.dataset, {4, 2}, CountsKind::corrupted).x.dense(),
                  2 * gather(*toy.dataset, {4, 2}).x.dense()));
}
