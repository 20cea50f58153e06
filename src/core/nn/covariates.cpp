#include "core/nn/covariates.h"

#include <ATen/ATen.h>

#include <string>

#include "core/base/errors.h"

namespace rscvi {

std::int64_t n_columns(std::int64_t n_categories) { return n_categories > 1 ? n_categories : 0; }

std::int64_t n_columns(const CovariateSizes& sizes) {
  std::int64_t n = sizes.n_continuous;
  for (const std::int64_t n_categories : sizes.n_categories) n += n_columns(n_categories);
  return n;
}

const at::Tensor& codes_of(const Covariates& covariates, std::size_t which, std::int64_t n_categories) {
  if (which < covariates.codes.size() && covariates.codes[which].defined()) return covariates.codes[which];
  throw InvalidArgument("the model was built with a batch, label or covariate of " + std::to_string(n_categories) +
                        " categories, but the cells' codes were not given");
}

const at::Tensor& values_of(const Covariates& covariates, std::int64_t n_continuous) {
  if (covariates.values.defined() && covariates.values.size(1) == n_continuous) return covariates.values;
  throw InvalidArgument("the model was built with " + std::to_string(n_continuous) +
                        " continuous covariates, but the cells' values were not given");
}

}  // namespace rscvi
