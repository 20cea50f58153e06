// Steps as CUDA graphs, where rscvi is built with them (RSCVI_CUDA_GRAPHS). Compiled, and never run on a GPU.
#pragma once

#include "core/training/step_graph.h"

namespace rscvi {

// Of this build.
bool has_cuda_graphs();

// Null without them. See make_step_graph().
std::unique_ptr<StepGraph> make_cuda_step_graph(c10::Device device, RandomStream& random);

}  // namespace rscvi
