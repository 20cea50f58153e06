#include "core/data/device_cells.h"

#include "core/base/errors.h"
#include "helpers.h"
#include "host_reads.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr std::int64_t no_limit = std::int64_t{1} << 40;

Minibatch gathered(const Dataset& dataset, const Cells& cells, CountsKind kind = CountsKind::observed) {
  return gather_minibatch(dataset, cells.data(), static_cast<std::int64_t>(cells.size()), kind, c10::kCPU);
}

std::shared_ptr<const DeviceCells> loaded(const Dataset& dataset, CountsKind kind = CountsKind::observed,
                                          std::int64_t largest = no_limit) {
  return DeviceCells::load(dataset, kind, c10::kCPU, largest);
}

Minibatch from_device(const Dataset& dataset, const Cells& cells, CountsKind kind = CountsKind::observed) {
  return loaded(dataset, kind)->gather(cells.data(), static_cast<std::int64_t>(cells.size()));
}

void check_same(const Minibatch& a, const Minibatch& b) {
  CHECK(same_bits(a.x.dense(), b.x.dense()));
  CHECK(same_bits(a.local_l_mean, b.local_l_mean));
  CHECK(same_bits(a.local_l_var, b.local_l_var));
  CHECK(at::equal(a.batch_index, b.batch_index));
  CHECK(at::equal(a.label, b.label));
  REQUIRE(a.categorical.defined() == b.categorical.defined());
  REQUIRE(a.continuous.defined() == b.continuous.defined());
  if (a.categorical.defined()) CHECK(at::equal(a.categorical, b.categorical));
  if (a.continuous.defined()) CHECK(at::equal(a.continuous, b.continuous));
}

// Toy data with covariates, an empty cell (7), the first and the last of its entries explicit zeros, corrupted counts.
Toy odd_data() {
  Toy toy = toy_data();
  toy.x[7].zero_();
  toy.counts = compress(toy.x);
  toy.counts->x.front() = toy.counts->x.back() = 0;
  toy.dataset->counts = source_of(toy.counts);
  toy.dataset->corrupted = source_of(compress(toy.x * 3));
  std::vector<std::int64_t> code(60);
  std::vector<double> value(60);
  for (std::int64_t cell = 0; cell < 60; ++cell) code[cell] = cell % 7, value[cell] = 0.1 * static_cast<double>(cell);
  toy.dataset->categorical = {code, toy.dataset->batch};
  toy.dataset->continuous = {value};
  for (std::int64_t cell = 0; cell < 60; ++cell) toy.dataset->local_mean[cell] += 0.01F * static_cast<float>(cell);
  return toy;
}

}  // namespace

TEST_CASE("cells on a device: minibatches have the bits of those gathered on the host") {
  const Toy toy = odd_data();
  const Cells all = cells_from(0, 60);
  Cells shuffled = RandomStream(3).permutation(60);
  for (const Cells& cells : {all, shuffled, Cells{17, 3, 3, 59, 0, 3}, Cells{7}, Cells{7, 7}, Cells{59}, Cells{0, 7}}) {
    for (const CountsKind kind : {CountsKind::observed, CountsKind::corrupted}) {
      check_same(from_device(*toy.dataset, cells, kind), gathered(*toy.dataset, cells, kind));
    }
  }
}

TEST_CASE("cells on a device: data without covariates; more cells than a block holds") {
  const Toy toy = toy_data(/*n_cells=*/8200);
  const Cells cells = {8199, 8191, 8192, 0, 8193, 1, 8190};
  check_same(from_device(*toy.dataset, cells), gathered(*toy.dataset, cells));
}

TEST_CASE("cells on a device: up to a limit, of 8 bytes an entry") {
  const Toy toy = toy_data();
  const auto n_bytes = 8 * static_cast<std::int64_t>(toy.counts->x.size());
  CHECK(loaded(*toy.dataset, CountsKind::observed, n_bytes) != nullptr);
  CHECK(loaded(*toy.dataset, CountsKind::observed, n_bytes - 1) == nullptr);
  CHECK_THROWS_WITH_AS(loaded(*toy.dataset, CountsKind::corrupted),
                       "corrupted counts were asked for, but the data set has none; corrupt() makes them",
                       InvalidArgument);
}

TEST_CASE("cells on a device: gathered without the host reading a value") {
  const Toy toy = odd_data();
  const auto cells = loaded(*toy.dataset);
  const Cells some = {17, 3, 3, 7, 59};
  CHECK(host_reads([&] { cells->gather(some.data(), 5); }) == 0);
  CHECK(host_reads([&] { gathered(*toy.dataset, some).label[0].item<std::int64_t>(); }) == 1);  // it does count
}

TEST_CASE("rows on a device: a block that was sent, as cells beyond the limit are") {
  const Toy toy = odd_data();
  const Cells cells = {17, 7, 3, 3, 59, 0};
  CsrBlock block;
  toy.dataset->counts->read(cells.data(), 6, block);
  const DeviceRows rows = send_rows(block, toy_genes, c10::kCPU);
  const at::Tensor dense = dense_rows(rows, at::arange(6), static_cast<std::int64_t>(block.value.size()));
  CHECK(same_bits(dense, gathered(*toy.dataset, cells).x.dense()));
}
