// The state of a model: every parameter and buffer by its name in scvi 0.6.8.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

namespace rscvi {

using State = std::vector<std::pair<std::string, at::Tensor>>;

// The live tensors, parameters first come first served in order of registration.
State live_state(const torch::nn::Module& module);

// A deep copy, which later training does not change.
State copy_state(const torch::nn::Module& module);

// Overwrites the module's tensors. InvalidArgument, naming the tensor, if one is missing, unknown or of another shape;
// then nothing has been changed.
void load_state(torch::nn::Module& module, const State& state);

// True if no tensor holds NaN or an infinity.
bool is_finite(const torch::nn::Module& module);

}  // namespace rscvi
