// A model, a data set and some of its cells: the unit that every analysis is a free function over.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "core/base/errors.h"
#include "core/data/device_cells.h"
#include "core/model/vae.h"

namespace rscvi {

struct Posterior {
  Vae model{nullptr};
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::int64_t> cells;  // 0-based, in the order of the results; a cell may occur twice
  std::int64_t batch_size = 128;
  CountsKind counts = CountsKind::observed;
  std::shared_ptr<const DeviceCells> on_device;  // those counts, where the model is, if they are there
  std::function<void()> poll;  // called now and then, if there is one; what it throws ends the work

  std::int64_t n_cells() const { return static_cast<std::int64_t>(cells.size()); }
};

// The same with minibatches that are worth the calls: at least so many cells that half a million entries are decoded at
// a time, which a cache still holds.
Posterior in_wide_minibatches(const Posterior& posterior);

// Noise for all cells of a posterior, in their order: z (n, L) or (S, n, L), library (n, 1) or (S, n, 1).
// The part for cells [start, start + size).
Noise slice(const Noise& noise, std::int64_t start, std::int64_t size);

// While it lives, the model is in evaluation mode and nothing records gradients.
class EvaluationScope {
 public:
  explicit EvaluationScope(Vae model);
  ~EvaluationScope();
  EvaluationScope(const EvaluationScope&) = delete;
  EvaluationScope& operator=(const EvaluationScope&) = delete;

 private:
  Vae model_;
  bool was_training_;
  bool grad_mode_;
};

// Gives cells without a label (code -1) the one that the model's classifier finds most probable, if it has one.
void fill_in_labels(Vae model, Minibatch& minibatch);

// Calls visit(minibatch, start) for consecutive stretches of the posterior's cells; start counts cells from 0.
template <class Visit>
void for_each_minibatch(const Posterior& posterior, Visit&& visit) {
  if (posterior.batch_size < 1) throw InvalidArgument("batch_size must be at least 1");
  const c10::Device device = posterior.model->device();
  for (std::int64_t start = 0; start < posterior.n_cells(); start += posterior.batch_size) {
    if (posterior.poll) posterior.poll();
    const std::int64_t size = std::min(posterior.batch_size, posterior.n_cells() - start);
    Minibatch minibatch = gather_minibatch(posterior.on_device.get(), *posterior.dataset,
                                           posterior.cells.data() + start, size, posterior.counts, device);
    fill_in_labels(posterior.model, minibatch);
    visit(minibatch, start);
  }
}

}  // namespace rscvi
