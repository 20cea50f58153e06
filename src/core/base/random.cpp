#include "core/base/random.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

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

// draw(parameters, generator) for stretches of `parameters`. LibTorch makes a draw after the other; stretches of fixed
// length, each with a generator of its own, are as fast as there are threads, and the same with any number of them.
template <class Draw>
at::Tensor draw_in_pieces(const at::Tensor& parameters, at::Generator& seeds, const Draw& draw) {
  constexpr std::int64_t piece = std::int64_t{1} << 16;
  const at::Tensor from = parameters.contiguous().view(-1);
  const at::Tensor to = at::empty_like(from);
  const std::int64_t n = from.numel(), n_pieces = (n + piece - 1) / piece;
  const at::Tensor seed = at::empty({n_pieces}, at::kLong).random_(seeds);
  std::vector<at::Generator> generators;
  for (std::int64_t k = 0; k < n_pieces; ++k) {
    const auto own = static_cast<std::uint64_t>(seed.data_ptr<std::int64_t>()[k]);
    generators.push_back(make_generator(c10::Device(c10::kCPU), split_mix(own)));
  }
  at::parallel_for(0, n_pieces, /*grain_size=*/1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t size = std::min(piece, n - k * piece);
      to.narrow(0, k * piece, size).copy_(draw(from.narrow(0, k * piece, size), generators[k]));
    }
  });
  return to.view(parameters.sizes());
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
  return at::empty_like(x).bernoulli_(1.0 - p, generator(x.device())).mul_(1.0 / (1.0 - p));
}

at::Tensor RandomStream::gamma(const at::Tensor& shape) {
  if (!shape.device().is_cpu()) return at::_standard_gamma(shape, generator(shape.device()));
  return draw_in_pieces(shape, cpu_, [](const at::Tensor& piece, at::Generator& random) {
    return at::_standard_gamma(piece, random);
  });
}

at::Tensor RandomStream::poisson(const at::Tensor& rate) {
  if (!rate.device().is_cpu()) return at::poisson(rate, generator(rate.device()));
  return draw_in_pieces(rate, cpu_, [](const at::Tensor& piece, at::Generator& random) {
    return at::poisson(piece, random);
  });
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
