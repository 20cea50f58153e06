#include "core/data/conditions.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

template <class Change>
Conditions changed(const Conditions& conditions, Change&& change) {
  const auto each = [&](const at::Tensor& tensor) { return tensor.defined() ? change(tensor) : tensor; };
  return {each(conditions.batch_index), each(conditions.label), each(conditions.categorical),
          each(conditions.continuous)};
}

}  // namespace

Conditions repeated(const Conditions& conditions, std::int64_t n) {
  if (n == 1) return conditions;
  return changed(conditions, [&](const at::Tensor& tensor) {
    return tensor.dim() == 1 ? tensor.repeat({n}) : tensor.repeat({n, 1});
  });
}

Conditions select_cells(const Conditions& conditions, const at::Tensor& rows) {
  return changed(conditions, [&](const at::Tensor& tensor) { return tensor.index_select(0, rows); });
}

Conditions concatenated(const std::vector<Conditions>& parts) {
  const auto all = [&](at::Tensor Conditions::*member) {
    std::vector<at::Tensor> tensors;
    for (const Conditions& part : parts) tensors.push_back(part.*member);
    return tensors.empty() || !tensors.front().defined() ? at::Tensor() : at::cat(tensors);
  };
  return {all(&Conditions::batch_index), all(&Conditions::label), all(&Conditions::categorical),
          all(&Conditions::continuous)};
}

Conditions as_batch(const Conditions& conditions, std::optional<std::int64_t> batch) {
  Conditions out = conditions;
  if (batch && conditions.batch_index.defined()) out.batch_index = at::full_like(conditions.batch_index, *batch);
  return out;
}

}  // namespace rscvi
