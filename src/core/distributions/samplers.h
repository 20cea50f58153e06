// One draw after the other of the distributions behind counts. LibTorch has them too, at three to ten times the price.
#pragma once

#include <cmath>

#include "core/base/bit_stream.h"

namespace rscvi {

// What gamma draws of a shape > 0 need of it: with one shape a gene, computed once for all cells.
struct GammaShape {
  explicit GammaShape(float shape)
      : inverse(1 / shape),
        is_small(shape < 1),
        d(static_cast<double>(shape) + (is_small ? 1 : 0) - 1.0 / 3),
        c(1 / std::sqrt(9 * d)) {}

  float inverse;
  bool is_small;  // drawn as a gamma of shape + 1, times U^(1/shape)
  double d, c;
};

class Sampler {
 public:
  explicit Sampler(std::uint64_t seed);

  double uniform() { return bits_.uniform(); }  // in (0, 1)

  // Standard normal, by ziggurat (Marsaglia & Tsang 2000, J. Stat. Softw. 5:8, in the form of Doornik 2005, ZIGNOR).
  double normal() {
    for (;;) {
      const std::uint64_t bits = bits_.bits();
      const int layer = static_cast<int>(bits & (n_layers - 1));
      // The other bits, as a number in (-1, 1).
      const double u = (static_cast<double>(static_cast<std::int64_t>(bits) >> 11) + 0.5) * 0x1p-52;
      if (std::abs(u) < layers_.ratio[layer]) return u * layers_.x[layer];
      const double found = normal_outside(u, layer);
      if (!std::isnan(found)) return found;
    }
  }

  // Gamma of that shape and rate 1 (Marsaglia & Tsang 2000, ACM TOMS 26:363), at least the smallest normal float.
  float gamma(const GammaShape& shape);

  // Poisson with a mean from 0 to 1e8: inversion below a mean of 10, else transformed rejection (Hoermann 1993,
  // Insurance: Math. & Econ. 12:39, PTRS).
  float poisson(float mean);

  // Negative binomial of that mean and shape by inversion, p_zero being its probability of 0: for means, of counts that
  // are not 0, of some dozens, as it takes a step a count.
  float negative_binomial(double mean, double shape, double p_zero) {
    const double u = uniform();
    return u <= p_zero ? 0 : negative_binomial_beyond(mean, shape, p_zero, u);
  }

 private:
  double normal_outside(double u, int layer);
  float negative_binomial_beyond(double mean, double shape, double p_zero, double u);
  float poisson_by_inversion(double mean, double u);
  float poisson_by_rejection(double mean);

  static constexpr int n_layers = 128;

  // Layers of equal area over the upper half of the normal density: x falls from layer to layer; within a layer, what
  // is left of `ratio` times its width is under the curve for sure.
  struct Ziggurat {
    double x[n_layers + 1], ratio[n_layers];
    Ziggurat();
  };
  static const Ziggurat& ziggurat();

  BitStream bits_;
  const Ziggurat& layers_;
};

}  // namespace rscvi
