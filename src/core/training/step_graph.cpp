#include "core/training/step_graph.h"

#include "core/base/errors.h"
#include "core/training/cuda_step_graph.h"

namespace rscvi {
namespace {

// What a step took from the host when it was recorded, its closure still holds when it is called again.
class CalledAgain final : public StepGraph {
 public:
  void record(std::function<void()> step) override { step_ = std::move(step); }
  void replay() override { step_(); }

 private:
  std::function<void()> step_;
};

}  // namespace

bool has_step_graphs(c10::Device device) { return device.is_cpu() || has_cuda_graphs(); }

std::unique_ptr<StepGraph> make_step_graph(c10::Device device, RandomStream& random) {
  if (device.is_cpu()) return std::make_unique<CalledAgain>();
  if (std::unique_ptr<StepGraph> graph = make_cuda_step_graph(device, random)) return graph;
  throw DeviceError(
      "steps were to be recorded as CUDA graphs, but rscvi was built without them: it takes a LibTorch 2.4 or newer "
      "with CUDA, and CUDA's headers");
}

}  // namespace rscvi
