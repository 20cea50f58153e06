#include "core/data/device_cells.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <numeric>

#include "core/base/device.h"

namespace rscvi {
namespace {

constexpr std::int64_t cells_a_block = 8192;
constexpr std::int64_t bytes_an_entry = sizeof(std::int32_t) + sizeof(float);

// Calls visit(first cell, block) for all cells, until it says false.
template <class Visit>
void for_each_block(const CellSource& source, Visit&& visit) {
  CsrBlock block;
  std::vector<std::int64_t> cells;
  for (std::int64_t first = 0; first < source.n_cells(); first += cells_a_block) {
    cells.resize(std::min(cells_a_block, source.n_cells() - first));
    std::iota(cells.begin(), cells.end(), first);
    source.read(cells.data(), static_cast<std::int64_t>(cells.size()), block);
    if (!visit(first, block)) return;
  }
}

// Empty if the counts take more than `largest` bytes.
std::vector<std::int64_t> row_starts(const CellSource& source, std::int64_t largest) {
  std::vector<std::int64_t> indptr = {0};
  bool fits = true;
  for_each_block(source, [&](std::int64_t, const CsrBlock& block) {
    const std::int64_t before = indptr.back();
    for (std::size_t r = 1; r < block.indptr.size(); ++r) indptr.push_back(before + block.indptr[r]);
    return fits = indptr.back() <= largest / bytes_an_entry;
  });
  return fits ? indptr : std::vector<std::int64_t>();
}

template <class T>
void copy_into(const at::Tensor& to, std::int64_t first, const std::vector<T>& values) {
  const auto n = static_cast<std::int64_t>(values.size());
  to.narrow(0, first, n).copy_(at::from_blob(const_cast<T*>(values.data()), {n}, to.scalar_type()));
}

// False if the device has no room for them.
bool make_room(DeviceRows& rows, std::int64_t n_entries, c10::Device device) {
  try {
    rows.gene = at::empty({n_entries}, at::TensorOptions().dtype(at::kInt).device(device));
    rows.value = at::empty({n_entries}, at::TensorOptions().dtype(at::kFloat).device(device));
    return true;
  } catch (const c10::OutOfMemoryError&) {
    return false;
  }
}

}  // namespace

std::shared_ptr<const DeviceCells> DeviceCells::load(const Dataset& dataset, CountsKind kind, c10::Device device,
                                                     std::int64_t largest) {
  const CellSource& source = counts_of(dataset, kind);
  std::shared_ptr<DeviceCells> out(new DeviceCells());
  out->indptr_ = row_starts(source, largest);
  if (out->indptr_.empty() || !make_room(out->rows_, out->indptr_.back(), device)) return nullptr;
  out->rows_.n_genes = source.n_genes();
  out->rows_.indptr = at::tensor(out->indptr_, at::kLong).to(device);
  for_each_block(source, [&](std::int64_t first, const CsrBlock& block) {
    copy_into(out->rows_.gene, out->indptr_[first], block.gene);
    copy_into(out->rows_.value, out->indptr_[first], block.value);
    return true;
  });
  std::vector<std::int64_t> cells(source.n_cells());
  std::iota(cells.begin(), cells.end(), 0);
  out->all_ = gather_without_counts(dataset, cells.data(), source.n_cells(), device);
  return out;
}

Minibatch DeviceCells::gather(const std::int64_t* cells, std::int64_t n) const {
  const c10::Device device = rows_.value.device();
  const at::Tensor staged = staging_tensor({n}, at::kLong, device);
  std::copy(cells, cells + n, staged.data_ptr<std::int64_t>());
  const at::Tensor which = sent(staged, device);
  std::int64_t n_entries = 0;
  for (std::int64_t k = 0; k < n; ++k) n_entries += indptr_[cells[k] + 1] - indptr_[cells[k]];

  Minibatch minibatch;
  static_cast<Conditions&>(minibatch) = select_cells(all_, which);
  minibatch.x = CellMatrix(dense_rows(rows_, which, n_entries));
  minibatch.local_l_mean = all_.local_l_mean.index_select(0, which);
  minibatch.local_l_var = all_.local_l_var.index_select(0, which);
  return minibatch;
}

Minibatch gather_minibatch(const DeviceCells* on_device, const Dataset& dataset, const std::int64_t* cells,
                           std::int64_t n, CountsKind kind, c10::Device device) {
  return on_device ? on_device->gather(cells, n) : gather_minibatch(dataset, cells, n, kind, device);
}

}  // namespace rscvi
