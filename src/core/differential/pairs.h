// Which sample of one population is held against which of the other.
#pragma once

#include <cstdint>
#include <vector>

namespace rscvi {

class RandomStream;

// Samples of the two populations that may be paired: rows of the first and of the second matrix of samples.
struct Stratum {
  std::vector<std::int64_t> first, second;
};

// One stratum a batch (ascending) if both populations have the same set of batches, else one with all samples.
// Batches may be empty: one stratum.
std::vector<Stratum> strata_of(const std::vector<std::int64_t>& batch1, const std::vector<std::int64_t>& batch2,
                               std::int64_t n1, std::int64_t n2);

// Sample first[k] goes with sample second[k].
struct Pairs {
  std::vector<std::int64_t> first, second;
  std::int64_t size() const { return static_cast<std::int64_t>(first.size()); }
};

// Element by element, stratum by stratum, as sampled. InvalidArgument if a stratum has unequal sides.
Pairs elementwise_pairs(const std::vector<Stratum>& strata);

// n_pairs / (number of strata) pairs of each stratum, both sides drawn with replacement, independently.
Pairs random_pairs(const std::vector<Stratum>& strata, std::int64_t n_pairs, RandomStream& random);

}  // namespace rscvi
