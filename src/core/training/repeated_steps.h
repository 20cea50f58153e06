// Steps of training of which all but the first few are a step_graph.h repeated. What differs between them goes in by
// way of memory that stays in its place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/data/minibatch.h"
#include "core/training/step_graph.h"

namespace rscvi {

class RepeatedSteps {
 public:
  // A step on a minibatch; gives its loss, a scalar without a gradient.
  using Step = std::function<at::Tensor(const Minibatch&)>;

  // Minibatches of other sizes than n_cells, as the last of an epoch may be, are never recorded.
  RepeatedSteps(std::unique_ptr<StepGraph> graph, std::int64_t n_cells);

  // The loss of the step on `minibatch`, which is done once: it is called, or what a step of the same kind asked for
  // when it was recorded is done again. So steps of one kind must ask for the same operators, with the same numbers of
  // the host; `step` is kept, and must not refer to what is gone when this returns. The first steps are called, as what
  // is made at its first use must not be recorded, and so is the first of another kind than the one before.
  at::Tensor operator()(const Minibatch& minibatch, int kind, const Step& step);

 private:
  void put_in_place(const Minibatch& minibatch);
  Minibatch in_place() const;

  std::unique_ptr<StepGraph> graph_;
  std::int64_t n_cells_;
  Minibatch place_;  // its counts are dense
  at::Tensor loss_;  // of the step that was recorded, after its last replay
  std::int64_t n_called_ = 0;
  std::optional<int> last_kind_, recorded_kind_;
};

}  // namespace rscvi
