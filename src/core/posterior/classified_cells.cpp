#include "core/posterior/classified_cells.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/errors.h"
#include "core/posterior/annotation.h"

namespace rscvi {

at::Tensor label_probabilities(const ClassifiedCells& cells) {
  if (cells.batch_size < 1) throw InvalidArgument("batch_size must be at least 1");
  const at::NoGradGuard no_grad;
  Classifier classifier = cells.classifier.classifier();
  const bool was_training = classifier->is_training();
  classifier->eval();
  RandomStream unused(0);  // dropout, which evaluation does without
  const auto n = static_cast<std::int64_t>(cells.cells.size());
  at::Tensor out = at::empty({n, classifier->n_labels()}, at::kFloat);
  for (std::int64_t start = 0; start < n; start += cells.batch_size) {
    if (cells.poll) cells.poll();
    const std::int64_t size = std::min(cells.batch_size, n - start);
    const Minibatch minibatch = gather_minibatch(*cells.dataset, cells.cells.data() + start, size, cells.counts,
                                                 cells.classifier.device());
    out.narrow(0, start, size).copy_(at::exp(cells.classifier.log_probabilities(minibatch.x, minibatch, unused)));
  }
  classifier->train(was_training);
  return out;
}

double accuracy(const ClassifiedCells& cells) {
  return accuracy(label_probabilities(cells), *cells.dataset, cells.cells);
}

}  // namespace rscvi
