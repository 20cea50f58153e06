#include "core/data/device_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/device.h"

namespace rscvi {
namespace {

template <class T>
at::Tensor send(const std::vector<T>& values, at::ScalarType type, c10::Device device) {
  const at::Tensor staged = staging_tensor({static_cast<std::int64_t>(values.size())}, type, device);
  std::copy(values.begin(), values.end(), staged.data_ptr<T>());
  return sent(staged, device);
}

}  // namespace

DeviceRows send_rows(const CsrBlock& block, std::int64_t n_genes, c10::Device device) {
  return {send(block.indptr, at::kLong, device), send(block.gene, at::kInt, device),
          send(block.value, at::kFloat, device), n_genes};
}

at::Tensor dense_rows(const DeviceRows& rows, const at::Tensor& which, std::int64_t n_entries) {
  const std::int64_t n_rows = which.size(0), n_places = n_rows * rows.n_genes;
  const at::Tensor dense = at::zeros({n_rows, rows.n_genes}, rows.value.options());
  if (n_entries == 0) return dense;
  const at::Tensor begin = rows.indptr.index_select(0, which);
  const at::Tensor length = rows.indptr.index_select(0, which + 1) - begin;
  // Of each row: how far its entries lie from where they would, were these rows all there is; its place in the result.
  const at::Tensor row_start = at::arange(0, n_places, rows.n_genes, which.options());
  const at::Tensor of_row = at::stack({begin - (length.cumsum(0) - length), row_start}, 1);
  const at::Tensor of_entry = at::repeat_interleave(of_row, length, /*dim=*/0, /*output_size=*/n_entries);
  const at::Tensor entry = of_entry.select(1, 0) + at::arange(n_entries, which.options());
  const at::Tensor place = of_entry.select(1, 1) + rows.gene.index_select(0, entry);
  dense.view({n_places}).scatter_(0, place, rows.value.index_select(0, entry));
  return dense;
}

}  // namespace rscvi
