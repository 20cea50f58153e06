// Counts and codes are small whole numbers that R keeps in 4 or 8 bytes each. In a file they take the narrowest type
// that gives every one of them back bit for bit (so -0 and NaN with their payloads stay what they are).
#pragma once

#include <cstdint>
#include <vector>

#include "core/io/safetensors_header.h"

namespace rscvi::io {

Dtype narrowest(const std::int32_t* values, std::size_t n);  // u8, u16, i32
Dtype narrowest(const double* values, std::size_t n);        // u8, u16, i32, f32, f64

// The bytes of `values` as `dtype`, which must hold them.
std::vector<char> converted(const std::int32_t* values, std::size_t n, Dtype dtype);
std::vector<char> converted(const double* values, std::size_t n, Dtype dtype);

}  // namespace rscvi::io
