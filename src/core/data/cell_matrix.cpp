#include "core/data/cell_matrix.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

#include "core/base/errors.h"

namespace rscvi {
namespace {

// Of the entries that are stored; above it, a dense product is faster.
constexpr double densest_rows = 0.35;

at::Tensor to_dense(const CsrBlock& rows, std::int64_t n_genes) {
  const auto n = static_cast<std::int64_t>(rows.indptr.size()) - 1;
  at::Tensor dense = at::zeros({n, n_genes}, at::kFloat);
  float* row = dense.data_ptr<float>();
  for (std::int64_t r = 0; r < n; ++r, row += n_genes) {
    for (std::int64_t k = rows.indptr[r]; k < rows.indptr[r + 1]; ++k) row[rows.gene[k]] = rows.value[k];
  }
  return dense;
}

CsrBlock to_rows(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.to(at::kCPU, at::kFloat).contiguous();
  CsrBlock rows;
  rows.indptr.push_back(0);
  const float* value = dense.data_ptr<float>();
  for (std::int64_t r = 0; r < dense.size(0); ++r) {
    for (std::int64_t g = 0; g < dense.size(1); ++g, ++value) {
      if (*value == 0) continue;
      rows.gene.push_back(static_cast<std::int32_t>(g));
      rows.value.push_back(*value);
    }
    rows.indptr.push_back(static_cast<std::int64_t>(rows.gene.size()));
  }
  return rows;
}

CscBlock to_columns(const CsrBlock& rows, std::int64_t n_genes) {
  CscBlock columns;
  columns.indptr.assign(n_genes + 1, 0);
  for (const std::int32_t gene : rows.gene) ++columns.indptr[gene + 1];
  for (std::int64_t g = 0; g < n_genes; ++g) columns.indptr[g + 1] += columns.indptr[g];
  columns.cell.resize(rows.gene.size());
  columns.value.resize(rows.gene.size());
  std::vector<std::int64_t> next(columns.indptr.begin(), columns.indptr.end() - 1);
  for (std::size_t r = 0; r + 1 < rows.indptr.size(); ++r) {
    for (std::int64_t k = rows.indptr[r]; k < rows.indptr[r + 1]; ++k) {
      const std::int64_t to = next[rows.gene[k]]++;
      columns.cell[to] = static_cast<std::int32_t>(r);
      columns.value[to] = rows.value[k];
    }
  }
  return columns;
}

// ln(1 + x), from a table for the counts that data are made of.
float log1p_of(float x) {
  constexpr int table_size = 1024;
  static const std::vector<float> table = [] {
    std::vector<float> values(table_size);
    for (int k = 0; k < table_size; ++k) values[k] = static_cast<float>(std::log1p(static_cast<double>(k)));
    return values;
  }();
  const bool is_small_count = x >= 0 && x < table_size && x == static_cast<float>(static_cast<int>(x));
  return is_small_count ? table[static_cast<int>(x)] : std::log1p(x);
}

}  // namespace

struct CellMatrix::State {
  at::Tensor dense;
  std::optional<CsrBlock> rows;
  std::optional<CscBlock> columns;
  std::int64_t n_genes = 0;
  bool made_from_rows = false;
  CellMatrix log1p;
};

CellMatrix::CellMatrix(at::Tensor dense) {
  if (!dense.defined()) return;
  if (dense.requires_grad()) throw InternalError("cells x genes are data: no gradient could pass through them");
  state_ = std::make_shared<State>();
  state_->n_genes = dense.size(1);
  state_->dense = std::move(dense);
}

CellMatrix::CellMatrix(CsrBlock rows, std::int64_t n_genes) : state_(std::make_shared<State>()) {
  state_->rows = std::move(rows);
  state_->n_genes = n_genes;
  state_->made_from_rows = true;
}

std::int64_t CellMatrix::n_cells() const {
  return state_->rows ? static_cast<std::int64_t>(state_->rows->indptr.size()) - 1 : state_->dense.size(0);
}

std::int64_t CellMatrix::n_genes() const { return state_->n_genes; }

c10::Device CellMatrix::device() const {
  return state_->made_from_rows ? c10::Device(c10::kCPU) : state_->dense.device();
}

const at::Tensor& CellMatrix::dense() const {
  if (!state_->dense.defined()) state_->dense = to_dense(*state_->rows, state_->n_genes);
  return state_->dense;
}

const CsrBlock& CellMatrix::rows() const {
  if (!state_->rows) state_->rows = to_rows(state_->dense);
  return *state_->rows;
}

const CscBlock& CellMatrix::columns() const {
  if (!state_->columns) state_->columns = to_columns(rows(), state_->n_genes);
  return *state_->columns;
}

bool CellMatrix::prefers_rows() const {
  if (!state_->made_from_rows) return false;
  const double n_entries = static_cast<double>(n_cells()) * static_cast<double>(n_genes());
  return static_cast<double>(state_->rows->gene.size()) <= densest_rows * n_entries;
}

CellMatrix CellMatrix::log1p() const {
  if (state_->log1p.defined()) return state_->log1p;
  if (!state_->made_from_rows) {
    state_->log1p = CellMatrix(at::log1p(state_->dense));
  } else {
    CsrBlock rows = *state_->rows;
    for (float& value : rows.value) value = log1p_of(value);
    state_->log1p = CellMatrix(std::move(rows), state_->n_genes);
  }
  return state_->log1p;
}

CellMatrix CellMatrix::repeated(std::int64_t n) const {
  if (!state_->made_from_rows) return CellMatrix(state_->dense.repeat({n, 1}));
  const CsrBlock& once = *state_->rows;
  CsrBlock rows;
  rows.indptr.push_back(0);
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t before = rows.indptr.back();
    for (std::size_t r = 1; r < once.indptr.size(); ++r) rows.indptr.push_back(before + once.indptr[r]);
    rows.gene.insert(rows.gene.end(), once.gene.begin(), once.gene.end());
    rows.value.insert(rows.value.end(), once.value.begin(), once.value.end());
  }
  return CellMatrix(std::move(rows), state_->n_genes);
}

at::Tensor CellMatrix::totals() const {
  if (!state_->made_from_rows) return state_->dense.sum(1, /*keepdim=*/true);
  const CsrBlock& rows = *state_->rows;
  at::Tensor totals = at::empty({n_cells(), 1}, at::kFloat);
  for (std::int64_t r = 0; r < n_cells(); ++r) {
    double total = 0;
    for (std::int64_t k = rows.indptr[r]; k < rows.indptr[r + 1]; ++k) total += static_cast<double>(rows.value[k]);
    totals.data_ptr<float>()[r] = static_cast<float>(total);
  }
  return totals;
}

CellMatrix CellMatrix::to(c10::Device device) const {
  return this->device() == device ? *this : CellMatrix(dense().to(device));
}

}  // namespace rscvi
