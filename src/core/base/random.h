// Random streams that belong to the core: neither R's generator nor LibTorch's global one is ever read or moved.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rscvi {

class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed);

  // An independent stream for a named purpose; the same purpose and seed give the same stream.
  RandomStream split(std::uint64_t purpose) const;

  // Standard normal draws of shape `sizes`, float32 on `device`.
  at::Tensor normal(at::IntArrayRef sizes, c10::Device device);

  // Tensor like `x` that holds 0 with probability `p` and 1 / (1 - p) otherwise.
  at::Tensor dropout_mask(const at::Tensor& x, double p);

  // One gamma draw of rate 1 for each entry of `shape`, on its device.
  at::Tensor gamma(const at::Tensor& shape);

  // One Poisson draw for each entry of `rate`, as that type of floating-point number, on its device.
  at::Tensor poisson(const at::Tensor& rate);

  // Seeds for n streams of somebody's own.
  std::vector<std::uint64_t> seeds(std::int64_t n);

  // Tensor like `x` of uniform draws in [0, 1).
  at::Tensor uniform_like(const at::Tensor& x);

  // Uniform draws in [-bound, bound), float32 on the CPU.
  at::Tensor uniform(at::IntArrayRef sizes, double bound);

  // n draws with replacement from 0 .. below - 1.
  std::vector<std::int64_t> integers(std::int64_t n, std::int64_t below);

  // A random order of 0 .. n - 1.
  std::vector<std::int64_t> permutation(std::int64_t n);

  // What draws on `device` come from, for those who repeat operators without calling them (training/step_graph.h).
  at::Generator& generator(c10::Device device);

 private:
  std::uint64_t seed_;
  at::Generator cpu_;
  at::Generator cuda_;  // made on first use: a machine without a GPU has none to copy
};

// Purposes of the streams that one seed is split into.
namespace stream {
constexpr std::uint64_t parameters = 1;
constexpr std::uint64_t shuffling = 2;
constexpr std::uint64_t training = 3;
constexpr std::uint64_t monitoring = 4;
constexpr std::uint64_t ordering = 5;  // of a posterior that shuffles: not the order that a split of that seed takes
constexpr std::uint64_t labelled_cells = 6;
}  // namespace stream

}  // namespace rscvi
