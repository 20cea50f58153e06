// Arrays that cross the border between the glue and the core: plain memory, no LibTorch type.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/errors.h"  // what the core throws is part of its face

namespace rscvi::api {

// Row-major (the last index runs fastest). An empty shape is a single number; `absent()` means "not given".
struct Array {
  std::vector<std::int64_t> shape;
  std::vector<float> data;

  bool absent() const { return data.empty(); }
};

using NamedArrays = std::vector<std::pair<std::string, Array>>;

}  // namespace rscvi::api
