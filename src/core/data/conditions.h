// What cells come with beside their counts, and networks may be conditioned on.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace rscvi {

// Of B cells; any of them may be undefined where nobody has a use for it.
struct Conditions {
  at::Tensor batch_index{};  // (B) int64
  at::Tensor label{};        // (B) int64
  at::Tensor categorical{};  // (B, n) int64, codes of further covariates
  at::Tensor continuous{};   // (B, m) float64, values of further covariates, as they were measured
};

// `n` times all cells, one time after another.
Conditions repeated(const Conditions& conditions, std::int64_t n);

// Those cells, (rows) int64.
Conditions select_cells(const Conditions& conditions, const at::Tensor& rows);

// Cells of one part after those of another; what one part lacks, all do.
Conditions concatenated(const std::vector<Conditions>& parts);

// To decode as: the cells' own, or with `batch` for all of them.
Conditions as_batch(const Conditions& conditions, std::optional<std::int64_t> batch);

}  // namespace rscvi
