// Which device a computation runs on, and how data get there.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <optional>

namespace rscvi {

// True if this LibTorch was built with CUDA and sees a GPU.
bool cuda_is_available();

// `use_cuda`: true asks for a GPU (DeviceError if there is none), false for the CPU, nullopt for a GPU if there is one.
c10::Device resolve_device(std::optional<bool> use_cuda);

// A tensor on the host, without values yet, that is to be filled and sent to `device`. For a GPU its memory is
// page-locked: only then does the host not wait for the copy. Untested on a GPU.
at::Tensor staging_tensor(at::IntArrayRef sizes, at::ScalarType type, c10::Device device);

// What was filled, on `device`; on the CPU the tensor itself. It must not be filled anew: the copy may be under way.
at::Tensor sent(const at::Tensor& staged, c10::Device device);

}  // namespace rscvi
