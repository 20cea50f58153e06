// What a network sees of cells beside its input: categories, as one-hot columns, and continuous values.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rscvi {

// Covariates that a layer has columns for, behind those of its input: one for each category, covariate by covariate,
// and none for a covariate with fewer than two; then one for each continuous covariate.
struct CovariateSizes {
  std::vector<std::int64_t> n_categories;
  std::int64_t n_continuous = 0;
};

// Of B cells.
struct Covariates {
  std::vector<at::Tensor> codes;  // (B) int64 each, in the order of n_categories; undefined where there are no columns
  at::Tensor values{};            // (B, n_continuous) float32; undefined if there are none
};

// Columns of a covariate of so many categories, and of all covariates.
std::int64_t n_columns(std::int64_t n_categories);
std::int64_t n_columns(const CovariateSizes& sizes);

// The codes of a covariate with columns, and the continuous values; InvalidArgument if they were not given.
const at::Tensor& codes_of(const Covariates& covariates, std::size_t which, std::int64_t n_categories);
const at::Tensor& values_of(const Covariates& covariates, std::int64_t n_continuous);

}  // namespace rscvi
