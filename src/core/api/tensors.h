// For the .cpp files of this folder alone: tensors to arrays and back, and LibTorch's exceptions to ours.
#pragma once

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <utility>

#include "core/api/array.h"
#include "core/base/errors.h"

namespace rscvi::api {

inline Array to_array(const at::Tensor& tensor) {
  Array array;
  if (!tensor.defined()) return array;
  const at::Tensor flat = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  array.shape = flat.sizes().vec();
  array.data.assign(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  return array;
}

inline at::Tensor to_tensor(const Array& array) {
  if (array.absent()) return at::Tensor();
  at::Tensor tensor = at::empty(array.shape, at::kFloat);
  std::copy(array.data.begin(), array.data.end(), tensor.data_ptr<float>());
  return tensor;
}

inline at::Tensor codes_to_tensor(const std::vector<std::int64_t>& codes) {
  return codes.empty() ? at::Tensor() : at::tensor(codes, at::kLong);
}

// Runs `work`; an exception of LibTorch's becomes one of ours, without its C++ backtrace.
template <class Work>
auto translate_errors(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (text.find("out of memory") != std::string::npos) {
      throw DeviceError("the device ran out of memory; use a smaller batch size, or the CPU. LibTorch said: " + text);
    }
    throw InternalError("LibTorch failed: " + text);
  }
}

}  // namespace rscvi::api
