// A step of training that is recorded once and repeated. To ask a GPU for the many operators of a step one by one can
// take longer than they take there: a CUDA graph asks for all of them at once.
//
// What is recorded is what the step asks of the device: which operators, with the host's numbers and the places in
// memory as they were. So a step must ask for the same operators on the same places every time, take its chance from
// one stream and read nothing from the device (repeated_steps.h sees to it). Untested on a GPU.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

#include "core/base/random.h"

namespace rscvi {

class StepGraph {
 public:
  virtual ~StepGraph() = default;

  // Records `step`, in the place of what was recorded before. On a GPU it is called here, and nothing is done; on the
  // CPU, where replay() calls it, it is not called. DeviceError if it cannot be recorded.
  virtual void record(std::function<void()> step) = 0;

  // Does what was recorded last.
  virtual void replay() = 0;
};

// Whether this library was built with LibTorch's CUDA graphs, for a GPU; true for the CPU.
bool has_step_graphs(c10::Device device);

// For steps on `device` whose chance comes from `random`. On a GPU, while it lives, all that this thread asks of it
// goes to a CUDA stream of its own, which it waits for at the end: CUDA's default stream cannot be recorded.
// DeviceError where there are none.
std::unique_ptr<StepGraph> make_step_graph(c10::Device device, RandomStream& random);

}  // namespace rscvi
