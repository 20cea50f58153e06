// How often a sample of one population is above one of the other, for samples that nothing else needs in order.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rscvi {

// Number of pairs with x > y, as count_above() has it of sorted ones. The samples y go into buckets of near values; a
// sample x is above all of the buckets below its own, and is held against the few in that one. Nothing where a sample
// is not finite, or where too many of them crowd in too few buckets: those are to be sorted.
std::optional<std::int64_t> count_above_unsorted(const std::vector<float>& x, const std::vector<float>& y);

}  // namespace rscvi
