#include "core/posterior/annotation.h"

#include <ATen/ATen.h>

#include <limits>

namespace rscvi {
namespace {

at::Tensor codes_of_cells(const Dataset& dataset, const std::vector<std::int64_t>& cells) {
  std::vector<std::int64_t> codes;
  for (const std::int64_t cell : cells) codes.push_back(dataset.label[cell]);
  return at::tensor(codes, at::kLong);
}

}  // namespace

at::Tensor label_probabilities(const Posterior& posterior) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  RandomStream unused(0);  // dropout, which evaluation does without
  at::Tensor out = at::empty({posterior.n_cells(), model->options().n_labels}, at::kFloat);
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t start) {
    out.narrow(0, start, minibatch.size()).copy_(at::exp(model->classify(minibatch.x, minibatch, unused)));
  });
  return out;
}

double accuracy(const Posterior& posterior) {
  return accuracy(label_probabilities(posterior), *posterior.dataset, posterior.cells);
}

double accuracy(const at::Tensor& probabilities, const Dataset& dataset, const std::vector<std::int64_t>& cells) {
  const at::Tensor label = codes_of_cells(dataset, cells);
  const at::Tensor known = label >= 0;
  const auto n_known = known.sum().item<double>();
  if (n_known == 0) return std::numeric_limits<double>::quiet_NaN();
  const at::Tensor right = (probabilities.argmax(-1) == label).logical_and(known);
  return right.sum().item<double>() / n_known;
}

}  // namespace rscvi
