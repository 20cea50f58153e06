// How often a sample of one population is above one of the other.
#pragma once

#include <cstdint>

#include "core/differential/all_pairs.h"

namespace rscvi {

// Number of pairs with x > y. Equal samples are equal even where both are infinite, and their difference is NaN.
std::int64_t count_above(const SortedSides& sides);

}  // namespace rscvi
