#include "core/base/device.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include "core/base/errors.h"

namespace rscvi {

bool cuda_is_available() { return at::globalContext().hasCUDA() && at::detail::getCUDAHooks().getNumGPUs() > 0; }

c10::Device resolve_device(std::optional<bool> use_cuda) {
  const bool available = cuda_is_available();
  if (use_cuda.value_or(false) && !available) {
    throw DeviceError(
        "a GPU was asked for, but this LibTorch sees none; use the CPU, or install a LibTorch with CUDA and check "
        "that the driver works (nvidia-smi)");
  }
  return use_cuda.value_or(available) ? c10::Device(c10::kCUDA) : c10::Device(c10::kCPU);
}

at::Tensor staging_tensor(at::IntArrayRef sizes, at::ScalarType type, c10::Device device) {
  return at::empty(sizes, at::TensorOptions().dtype(type).pinned_memory(device.is_cuda()));
}

at::Tensor sent(const at::Tensor& staged, c10::Device device) {
  return device.is_cpu() ? staged : staged.to(device, /*non_blocking=*/true);
}

}  // namespace rscvi
