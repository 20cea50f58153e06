// From the name of a type in a file to the type.
#pragma once

#include <cstdint>

#include "core/base/errors.h"
#include "core/io/safetensors_header.h"

namespace rscvi::io {

// Calls visit with a value of the C++ type.
template <class Visit>
decltype(auto) with_type(Dtype dtype, Visit&& visit) {
  switch (dtype) {
    case Dtype::u8: return visit(std::uint8_t{});
    case Dtype::u16: return visit(std::uint16_t{});
    case Dtype::i32: return visit(std::int32_t{});
    case Dtype::i64: return visit(std::int64_t{});
    case Dtype::f32: return visit(float{});
    case Dtype::f64: return visit(double{});
  }
  throw InternalError("a type of tensor without a C++ type");
}

}  // namespace rscvi::io
