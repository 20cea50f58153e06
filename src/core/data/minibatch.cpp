#include "core/data/minibatch.h"

#include <ATen/ATen.h>

#include "core/base/device.h"
#include "core/base/errors.h"
#include "core/data/device_rows.h"

namespace rscvi {
namespace {

CellMatrix read_counts(const CellSource& source, const std::int64_t* cells, std::int64_t n, c10::Device device) {
  CsrBlock block;
  source.read(cells, n, block);
  if (device.is_cpu()) return CellMatrix(std::move(block), source.n_genes());
  const DeviceRows rows = send_rows(block, source.n_genes(), device);
  const at::Tensor all = at::arange(n, rows.indptr.options());
  return CellMatrix(dense_rows(rows, all, static_cast<std::int64_t>(block.value.size())));
}

// One column a vector of values; undefined if there is none.
template <class T>
at::Tensor select_columns(const std::vector<const std::vector<T>*>& values, const std::int64_t* cells, std::int64_t n,
                          at::ScalarType type, c10::Device device) {
  if (values.empty()) return at::Tensor();
  const auto n_columns = static_cast<std::int64_t>(values.size());
  const at::Tensor staged = staging_tensor({n, n_columns}, type, device);
  T* to = staged.data_ptr<T>();
  for (std::int64_t r = 0; r < n; ++r) {
    for (const std::vector<T>* column : values) *to++ = (*column)[cells[r]];
  }
  return sent(staged, device);
}

template <class T>
std::vector<const std::vector<T>*> all_of(const std::vector<std::vector<T>>& covariates) {
  std::vector<const std::vector<T>*> out;
  for (const auto& values : covariates) out.push_back(&values);
  return out;
}

}  // namespace

const CellSource& counts_of(const Dataset& dataset, CountsKind kind) {
  if (kind == CountsKind::observed) return *dataset.counts;
  if (dataset.corrupted) return *dataset.corrupted;
  throw InvalidArgument("corrupted counts were asked for, but the data set has none; corrupt() makes them");
}

Minibatch gather_without_counts(const Dataset& dataset, const std::int64_t* cells, std::int64_t n, c10::Device device) {
  Minibatch out;
  out.local_l_mean = select_columns<float>({&dataset.local_mean}, cells, n, at::kFloat, device);
  out.local_l_var = select_columns<float>({&dataset.local_var}, cells, n, at::kFloat, device);
  out.batch_index = select_columns<std::int64_t>({&dataset.batch}, cells, n, at::kLong, device).squeeze(1);
  out.label = select_columns<std::int64_t>({&dataset.label}, cells, n, at::kLong, device).squeeze(1);
  out.categorical = select_columns(all_of(dataset.categorical), cells, n, at::kLong, device);
  out.continuous = select_columns(all_of(dataset.continuous), cells, n, at::kDouble, device);
  return out;
}

Minibatch gather_minibatch(const Dataset& dataset, const std::int64_t* cells, std::int64_t n, CountsKind kind,
                           c10::Device device) {
  const CellSource& source = counts_of(dataset, kind);
  Minibatch minibatch = gather_without_counts(dataset, cells, n, device);
  minibatch.x = read_counts(source, cells, n, device);
  return minibatch;
}

}  // namespace rscvi
