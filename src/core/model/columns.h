// Part of a weight matrix. No LibTorch header here: training options hold such parts, and the glue reads those.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rscvi {

// Columns of a weight matrix, such as those of some categories of a covariate.
struct Columns {
  std::string parameter;            // (output, input), by its dotted name
  std::vector<std::int64_t> which;  // 0-based
};

}  // namespace rscvi
