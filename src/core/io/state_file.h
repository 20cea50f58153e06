// The state of a model in a safetensors file, under the names of scvi 0.6.8: what safetensors.torch.load_file() gives
// in Python is a state_dict() of that model there.
#pragma once

#include <torch/nn/module.h>

#include <string>

#include "core/io/safetensors_header.h"

namespace rscvi::io {

void save_state(const torch::nn::Module& module, const std::string& path, const Metadata& metadata);

// BadFile; InvalidArgument, naming the tensor, if the state is that of another model. Then nothing has been changed.
void load_state(torch::nn::Module& module, const std::string& path);

}  // namespace rscvi::io
