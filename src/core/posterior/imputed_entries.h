// What imputation gives. No LibTorch header here: the glue reads this type too.
#pragma once

#include <cstdint>
#include <vector>

namespace rscvi {

// One element a corrupted entry and draw: by cell, then by draw, then by gene.
struct ImputedEntries {
  std::vector<std::int32_t> cell;    // among the posterior's, 0-based
  std::vector<std::int32_t> gene;    // 0-based
  std::vector<std::int32_t> sample;  // 0-based
  std::vector<float> original;       // the true count
  std::vector<float> imputed;        // px_rate that the corrupted counts give
};

}  // namespace rscvi
