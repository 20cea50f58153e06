// How probable zeros are, of many negative binomials at once.
#pragma once

#include <cstdint>

namespace rscvi {

// (1 + mu / theta)^-theta for n pairs of mu >= 0 and theta > 0, to `out`. NaN where one of them is.
void nb_zero_probabilities(std::int64_t n, const float* mu, const float* theta, double* out);

}  // namespace rscvi
