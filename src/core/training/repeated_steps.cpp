#include "core/training/repeated_steps.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

namespace rscvi {
namespace {

// As LibTorch's documentation of CUDA graphs asks for: libraries set themselves up in the first calls.
constexpr std::int64_t steps_before_recording = 3;

// Every tensor of a minibatch but its counts.
std::vector<at::Tensor*> tensors_of(Minibatch& minibatch) {
  return {&minibatch.batch_index, &minibatch.label,        &minibatch.categorical,
          &minibatch.continuous,  &minibatch.local_l_mean, &minibatch.local_l_var};
}

}  // namespace

RepeatedSteps::RepeatedSteps(std::unique_ptr<StepGraph> graph, std::int64_t n_cells)
    : graph_(std::move(graph)), n_cells_(n_cells) {}

at::Tensor RepeatedSteps::operator()(const Minibatch& minibatch, int kind, const Step& step) {
  if (minibatch.size() != n_cells_) return step(minibatch);
  const bool must_be_called = n_called_ < steps_before_recording || last_kind_ != kind;
  last_kind_ = kind;
  if (must_be_called) {
    ++n_called_;
    return step(minibatch);
  }
  put_in_place(minibatch);
  if (recorded_kind_ != kind) {
    recorded_kind_.reset();
    graph_->record([this, step] { loss_ = step(in_place()); });
    recorded_kind_ = kind;
  }
  graph_->replay();
  return loss_.clone();
}

void RepeatedSteps::put_in_place(const Minibatch& minibatch) {
  Minibatch from = minibatch;
  if (!place_.x.defined()) {
    place_ = from;
    place_.x = CellMatrix(from.x.dense().clone());
    for (at::Tensor* tensor : tensors_of(place_)) {
      if (tensor->defined()) *tensor = tensor->clone();
    }
    return;
  }
  at::Tensor counts = place_.x.dense();
  counts.copy_(from.x.dense());
  const std::vector<at::Tensor*> sources = tensors_of(from), places = tensors_of(place_);
  for (std::size_t k = 0; k < sources.size(); ++k) {
    if (sources[k]->defined()) places[k]->copy_(*sources[k]);
  }
}

// A matrix of counts keeps what is computed from them: the next step must not find it.
Minibatch RepeatedSteps::in_place() const {
  Minibatch minibatch = place_;
  minibatch.x = CellMatrix(place_.x.dense());
  return minibatch;
}

}  // namespace rscvi
