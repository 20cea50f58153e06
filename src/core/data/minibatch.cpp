#include "core/data/minibatch.h"

#include <ATen/ATen.h>

#include "core/base/errors.h"

namespace rscvi {
namespace {

CellMatrix read_counts(const CellSource& source, const std::int64_t* cells, std::int64_t n) {
  CsrBlock block;
  source.read(cells, n, block);
  return CellMatrix(std::move(block), source.n_genes());
}

template <class T>
at::Tensor select(const std::vector<T>& values, const std::int64_t* cells, std::int64_t n, at::ScalarType type) {
  at::Tensor out = at::empty({n}, type);
  T* to = out.data_ptr<T>();
  for (std::int64_t r = 0; r < n; ++r) to[r] = values[cells[r]];
  return out;
}

// One column a covariate; undefined if there is none.
template <class T>
at::Tensor select_columns(const std::vector<std::vector<T>>& covariates, const std::int64_t* cells, std::int64_t n,
                          at::ScalarType type, c10::Device device) {
  std::vector<at::Tensor> columns;
  for (const auto& values : covariates) columns.push_back(select(values, cells, n, type));
  return columns.empty() ? at::Tensor() : at::stack(columns, 1).to(device);
}

}  // namespace

Minibatch gather_minibatch(const Dataset& dataset, const std::int64_t* cells, std::int64_t n, CountsKind kind,
                           c10::Device device) {
  if (kind == CountsKind::corrupted && !dataset.corrupted) {
    throw InvalidArgument("corrupted counts were asked for, but the data set has none; corrupt() makes them");
  }
  const CellSource& source = kind == CountsKind::corrupted ? *dataset.corrupted : *dataset.counts;
  Minibatch minibatch;
  minibatch.x = read_counts(source, cells, n).to(device);
  minibatch.local_l_mean = select(dataset.local_mean, cells, n, at::kFloat).unsqueeze(1).to(device);
  minibatch.local_l_var = select(dataset.local_var, cells, n, at::kFloat).unsqueeze(1).to(device);
  minibatch.batch_index = select(dataset.batch, cells, n, at::kLong).to(device);
  minibatch.label = select(dataset.label, cells, n, at::kLong).to(device);
  minibatch.categorical = select_columns(dataset.categorical, cells, n, at::kLong, device);
  minibatch.continuous = select_columns(dataset.continuous, cells, n, at::kDouble, device);
  return minibatch;
}

}  // namespace rscvi
