#include "core/base/random.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/bit_stream.h"

namespace rscvi {
namespace {

// SplitMix64 (Steele, Lea & Flood 2014): spreads nearby seeds over the whole range.
std::uint64_t split_mix(std::uint64_t state) {
  state += 0x9e3779b97f4a7c15ULL;
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebULL;
  return state ^ (state >> 31);
}

// A generator of the device's own kind, independent of the global one that it is copied from.
at::Generator make_generator(c10::Device device, std::uint64_t seed) {
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

// 32 random bits an entry decide whether it is `kept` or 0: the rate is exact to one in 4e9.
void fill_mask(BitStream stream, double p, float kept, float* to, std::int64_t n) {
  const auto below = static_cast<std::uint32_t>(std::min(p * 0x1p32, 0x1p32 - 1));
  std::int64_t k = 0;
  for (; k + 1 < n; k += 2) {
    const std::uint64_t bits = stream.bits();
    to[k] = static_cast<std::uint32_t>(bits >> 32) < below ? 0 : kept;
    to[k + 1] = static_cast<std::uint32_t>(bits) < below ? 0 : kept;
  }
  if (k < n) to[k] = static_cast<std::uint32_t>(stream.bits() >> 32) < below ? 0 : kept;
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed)
    : seed_(seed), cpu_(make_generator(c10::Device(c10::kCPU), split_mix(seed))) {}

RandomStream RandomStream::split(std::uint64_t purpose) const {
  return RandomStream(split_mix(seed_ ^ split_mix(purpose)));
}

at::Generator& RandomStream::generator(c10::Device device) {
  if (device.is_cpu()) return cpu_;
  if (!cuda_.defined()) cuda_ = make_generator(device, split_mix(seed_));
  return cuda_;
}

at::Tensor RandomStream::normal(at::IntArrayRef sizes, c10::Device device) {
  return at::empty(sizes, at::TensorOptions().dtype(at::kFloat).device(device)).normal_(0.0, 1.0, generator(device));
}

at::Tensor RandomStream::dropout_mask(const at::Tensor& x, double p) {
  const double kept = 1.0 / (1.0 - p);
  if (!x.device().is_cpu() || x.scalar_type() != at::kFloat) {
    return at::empty_like(x).bernoulli_(1.0 - p, generator(x.device())).mul_(kept);
  }
  at::Tensor mask = at::empty(x.sizes(), x.options());
  fill_mask(BitStream(seeds(1).front()), p, static_cast<float>(kept), mask.data_ptr<float>(), mask.numel());
  return mask;
}

at::Tensor RandomStream::gamma(const at::Tensor& shape) {
  return at::_standard_gamma(shape, generator(shape.device()));
}

at::Tensor RandomStream::poisson(const at::Tensor& rate) { return at::poisson(rate, generator(rate.device())); }

std::vector<std::uint64_t> RandomStream::seeds(std::int64_t n) {
  const at::Tensor draws = at::empty({n}, at::kLong).random_(cpu_);
  const std::int64_t* begin = draws.data_ptr<std::int64_t>();
  std::vector<std::uint64_t> out(begin, begin + n);
  for (std::uint64_t& seed : out) seed = split_mix(seed);
  return out;
}

at::Tensor RandomStream::uniform_like(const at::Tensor& x) {
  return at::empty_like(x).uniform_(0.0, 1.0, generator(x.device()));
}

at::Tensor RandomStream::uniform(at::IntArrayRef sizes, double bound) {
  return at::empty(sizes, at::kFloat).uniform_(-bound, bound, cpu_);
}

std::vector<std::int64_t> RandomStream::integers(std::int64_t n, std::int64_t below) {
  const at::Tensor draws = at::empty({n}, at::kLong).random_(0, below, cpu_);
  const std::int64_t* begin = draws.data_ptr<std::int64_t>();
  return std::vector<std::int64_t>(begin, begin + n);
}

std::vector<std::int64_t> RandomStream::permutation(std::int64_t n) {
  const at::Tensor order = at::randperm(n, cpu_, at::TensorOptions().dtype(at::kLong));
  const std::int64_t* begin = order.data_ptr<std::int64_t>();
  return std::vector<std::int64_t>(begin, begin + n);
}

}  // namespace rscvi
