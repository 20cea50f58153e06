#include "core/training/cuda_step_graph.h"

#ifdef RSCVI_CUDA_GRAPHS
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <map>

#include "core/base/errors.h"
#endif

namespace rscvi {

#ifdef RSCVI_CUDA_GRAPHS

namespace {

// One a device for good: memory that LibTorch keeps for reuse belongs to a stream.
c10::cuda::CUDAStream stream_of_steps(c10::DeviceIndex device) {
  static thread_local std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const auto found = streams.find(device);
  if (found != streams.end()) return found->second;
  return streams.emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first->second;
}

class CudaStepGraph final : public StepGraph {
 public:
  CudaStepGraph(c10::DeviceIndex device, at::Generator generator)
      : device_(device),
        generator_(std::move(generator)),
        stream_before_(c10::cuda::getCurrentCUDAStream(device)),
        pool_(at::cuda::graph_pool_handle()) {
    c10::cuda::device_synchronize();  // what the stream before still does for the model and its cells
    c10::cuda::setCurrentCUDAStream(stream_of_steps(device));
  }

  ~CudaStepGraph() override {
    try {
      c10::cuda::device_synchronize();
    } catch (const c10::Error&) {
      // Whoever asks something of the device next is told.
    }
    c10::cuda::setCurrentCUDAStream(stream_before_);
  }

  // The graph before is still there meanwhile: the memory pool that both have would go with its last graph.
  void record(std::function<void()> step) override {
    auto next = std::make_unique<at::cuda::CUDAGraph>();
    next->register_generator_state(generator_);
    try {
      next->capture_begin(pool_);
      step();
      next->capture_end();
    } catch (const c10::Error& error) {
      abandon(std::move(next));
      throw DeviceError(std::string("a step of training could not be recorded as a CUDA graph: ") +
                        error.what_without_backtrace() + "; start R anew and train without step_graph");
    } catch (...) {
      abandon(std::move(next));
      throw;
    }
    graph_ = std::move(next);
  }

  void replay() override { graph_->replay(); }

 private:
  // Ends a capture that failed as far as can be. The graph is left to the allocator and to generators, which may still
  // point at it.
  void abandon(std::unique_ptr<at::cuda::CUDAGraph> graph) {
    try {
      graph->capture_end();
    } catch (const c10::Error&) {
    }
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_);
    } catch (const c10::Error&) {
    }
    graph.release();
  }

  c10::DeviceIndex device_;
  at::Generator generator_;
  c10::cuda::CUDAStream stream_before_;
  decltype(at::cuda::graph_pool_handle()) pool_;
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
};

}  // namespace

bool has_cuda_graphs() { return true; }

std::unique_ptr<StepGraph> make_cuda_step_graph(c10::Device device, RandomStream& random) {
  return std::make_unique<CudaStepGraph>(device.index(), random.generator(device));
}

#else

bool has_cuda_graphs() { return false; }

std::unique_ptr<StepGraph> make_cuda_step_graph(c10::Device, RandomStream&) { return nullptr; }

#endif

}  // namespace rscvi
