#include "core/distributions/samplers.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rscvi {
namespace {

constexpr double base_edge = 3.442619855899, layer_area = 9.91256303526217e-3;

constexpr double inversion_below = 10;

}  // namespace

Sampler::Ziggurat::Ziggurat() {
  double f = std::exp(-0.5 * base_edge * base_edge);
  x[0] = layer_area / f;
  x[1] = base_edge;
  x[n_layers] = 0;
  for (int k = 2; k < n_layers; ++k) {
    x[k] = std::sqrt(-2 * std::log(layer_area / x[k - 1] + f));
    f = std::exp(-0.5 * x[k] * x[k]);
  }
  for (int k = 0; k < n_layers; ++k) ratio[k] = x[k + 1] / x[k];
}

const Sampler::Ziggurat& Sampler::ziggurat() {
  static const Ziggurat layers;
  return layers;
}

Sampler::Sampler(std::uint64_t seed) : bits_(seed), layers_(ziggurat()) {}

// One draw in eighty: from the tail, or from a layer's corner, which half lies above the curve (then NaN).
double Sampler::normal_outside(double u, int layer) {
  if (layer == 0) {
    double beyond, y;
    do {
      beyond = -std::log(bits_.uniform()) / base_edge;
      y = -std::log(bits_.uniform());
    } while (2 * y < beyond * beyond);
    return u < 0 ? -base_edge - beyond : base_edge + beyond;
  }
  const double at = u * layers_.x[layer];
  const double upper = std::exp(-0.5 * (layers_.x[layer] * layers_.x[layer] - at * at));
  const double lower = std::exp(-0.5 * (layers_.x[layer + 1] * layers_.x[layer + 1] - at * at));
  if (lower + bits_.uniform() * (upper - lower) < 1) return at;
  return std::numeric_limits<double>::quiet_NaN();
}

float Sampler::gamma(const GammaShape& shape) {
  double draw;
  for (;;) {
    const double z = normal(), t = 1 + shape.c * z;
    if (t <= 0) continue;
    const double v = t * t * t, u = bits_.uniform(), z2 = z * z;
    draw = shape.d * v;
    if (u < 1 - 0.0331 * z2 * z2 || std::log(u) < 0.5 * z2 + shape.d * (1 - v + std::log(v))) break;
  }
  auto out = static_cast<float>(draw);
  if (shape.is_small) out *= std::exp(std::log(static_cast<float>(bits_.uniform())) * shape.inverse);
  return std::max(out, std::numeric_limits<float>::min());
}

float Sampler::poisson(float mean) {
  if (!(mean > 0)) return std::isnan(mean) ? mean : 0;
  if (mean >= inversion_below) return poisson_by_rejection(mean);
  const double u = bits_.uniform();
  // exp(-mean) >= 1 - mean: most counts of most genes are 0, and known to be at once.
  return u <= 1 - static_cast<double>(mean) ? 0 : poisson_by_inversion(mean, u);
}

// The counts' probabilities p are added up until they reach u, or add nothing more.
float Sampler::negative_binomial_beyond(double mean, double shape, double p_zero, double u) {
  const double odds = mean / (mean + shape);
  double p = p_zero, reached = p_zero, before;
  int k = 0;
  do {
    p *= odds * (shape + k) / (k + 1);
    ++k;
    before = reached;
    reached += p;
  } while (u > reached && reached > before);
  return static_cast<float>(k);
}

float Sampler::poisson_by_inversion(double mean, double u) {
  constexpr int largest = 100;  // of mean < 10: P(more) < 1e-60, and the sum of p rounds to 1 long before
  double p = std::exp(-mean), reached = p;
  int k = 0;
  while (u > reached && k < largest) {
    ++k;
    p *= mean / k;
    reached += p;
  }
  return static_cast<float>(k);
}

float Sampler::poisson_by_rejection(double mean) {
  const double log_mean = std::log(mean), b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = bits_.uniform() - 0.5, v = bits_.uniform(), us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= squeeze) return static_cast<float>(k);
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - std::lgamma(k + 1)) {
      return static_cast<float>(k);
    }
  }
}

}  // namespace rscvi
