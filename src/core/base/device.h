// Which device a computation runs on.
#pragma once

#include <c10/core/Device.h>

#include <optional>

namespace rscvi {

// True if this LibTorch was built with CUDA and sees a GPU.
bool cuda_is_available();

// `use_cuda`: true asks for a GPU (DeviceError if there is none), false for the CPU, nullopt for a GPU if there is one.
c10::Device resolve_device(std::optional<bool> use_cuda);

}  // namespace rscvi
