// What a safetensors file says about itself: the name, type, shape and place of each tensor, and text by key.
// Format: https://github.com/huggingface/safetensors
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rscvi::io {

// The types that are written here. A file with others is refused.
enum class Dtype { u8, u16, i32, i64, f32, f64 };

std::size_t size_of(Dtype dtype);

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;   // row-major; empty: a single number
  std::uint64_t begin = 0, end = 0;  // its bytes, counted from the end of the header
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct Header {
  std::vector<TensorInfo> tensors;
  Metadata metadata;
};

// Number of bytes of a tensor. InvalidArgument if it does not fit 63 bits.
std::uint64_t n_bytes(Dtype dtype, const std::vector<std::int64_t>& shape);

std::string to_json(const Header& header);

// BadFile if `text` is not the header of a file with `n_data` bytes of data, all of which belong to exactly one tensor.
Header parse_header(std::string_view text, std::uint64_t n_data);

}  // namespace rscvi::io
