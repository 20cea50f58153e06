#include "core/io/state_file.h"

#include <ATen/ATen.h>

#include "core/base/errors.h"
#include "core/io/safetensors.h"
#include "core/model/state.h"

namespace rscvi::io {
namespace {

Dtype to_dtype(at::ScalarType type) {
  if (type == at::kFloat) return Dtype::f32;
  if (type == at::kDouble) return Dtype::f64;
  if (type == at::kLong) return Dtype::i64;
  throw InternalError("a tensor of a model has a type that files do not know");
}

at::ScalarType to_scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32: return at::kFloat;
    case Dtype::f64: return at::kDouble;
    case Dtype::i64: return at::kLong;
    case Dtype::i32: return at::kInt;
    case Dtype::u8: return at::kByte;
    case Dtype::u16: break;
  }
  throw BadFile("a model has no tensor of 16-bit whole numbers");
}

}  // namespace

void save_state(const torch::nn::Module& module, const std::string& path, const Metadata& metadata) {
  State kept_alive;
  std::vector<TensorSource> tensors;
  for (const auto& item : live_state(module)) {
    const at::Tensor tensor = item.second.detach().cpu().contiguous();
    kept_alive.emplace_back(item.first, tensor);
    tensors.push_back({item.first, to_dtype(tensor.scalar_type()), tensor.sizes().vec(), tensor.data_ptr()});
  }
  write_safetensors(path, tensors, metadata);
}

void load_state(torch::nn::Module& module, const std::string& path) {
  SafetensorsFile file(path);
  State state;
  for (const auto& info : file.header().tensors) {
    at::Tensor tensor = at::empty(info.shape, to_scalar_type(info.dtype));
    file.read(info, 0, tensor.data_ptr(), info.end - info.begin);
    state.emplace_back(info.name, tensor);
  }
  rscvi::load_state(module, state);
}

}  // namespace rscvi::io
