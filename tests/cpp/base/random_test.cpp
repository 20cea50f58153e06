#include "core/base/random.h"

#include <algorithm>
#include <cmath>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

at::Tensor draws(RandomStream stream, std::int64_t n = 1000) { return stream.normal({n}, c10::kCPU); }

double correlation(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a - a.mean(), y = b - b.mean();
  return ((x * y).sum() / at::sqrt((x * x).sum() * (y * y).sum())).item<double>();
}

}  // namespace

TEST_CASE("random: one seed gives one stream, another seed another") {
  CHECK(same_bits(draws(RandomStream(5)), draws(RandomStream(5))));
  CHECK_FALSE(same_bits(draws(RandomStream(5)), draws(RandomStream(6))));
  CHECK(same_bits(draws(RandomStream(5).split(stream::training)), draws(RandomStream(5).split(stream::training))));
}

TEST_CASE("random: drawing from a stream does not move the streams split off it") {
  RandomStream random(5);
  const at::Tensor before = draws(random.split(stream::shuffling));
  draws(random);
  CHECK(same_bits(before, draws(random.split(stream::shuffling))));
}

TEST_CASE("random: streams of one seed, and of seeds next to each other, are uncorrelated") {
  constexpr std::int64_t n = 40000;
  const double tolerance = 4.5 / std::sqrt(static_cast<double>(n));  // standard errors of a correlation of 0
  const RandomStream random(7);
  const std::vector<at::Tensor> streams = {
      draws(random, n),
      draws(random.split(stream::parameters), n),
      draws(random.split(stream::shuffling), n),
      draws(random.split(stream::training), n),
      draws(random.split(stream::monitoring), n),
      draws(random.split(stream::training).split(stream::training), n),
      draws(RandomStream(8), n),
      draws(RandomStream(8).split(stream::training), n),
  };
  for (std::size_t a = 0; a < streams.size(); ++a) {
    for (std::size_t b = a + 1; b < streams.size(); ++b) {
      CAPTURE(a);
      CAPTURE(b);
      CHECK(std::abs(correlation(streams[a], streams[b])) < tolerance);
    }
  }
}

TEST_CASE("random: LibTorch's global generator is neither read nor moved") {
  const auto global_draws = [] { return at::rand({8}); };
  at::manual_seed(11);
  const at::Tensor expected_first = global_draws(), expected_second = global_draws();

  at::manual_seed(11);
  CHECK(same_bits(global_draws(), expected_first));
  RandomStream random(5);
  const at::Tensor ours = draws(random);
  random.uniform({10}, 1.0);
  random.permutation(10);
  random.dropout_mask(at::ones({10}), 0.5);
  toy_model(toy_options());
  CHECK(same_bits(global_draws(), expected_second));

  at::manual_seed(12);
  CHECK(same_bits(draws(RandomStream(5)), ours));
}

TEST_CASE("random: normal draws have mean 0, variance 1 and normal tails") {
  constexpr std::int64_t n = 200000;
  const at::Tensor u = draws(RandomStream(1), n);
  const double se = 1 / std::sqrt(static_cast<double>(n));
  CHECK(u.dtype() == at::kFloat);
  CHECK(std::abs(u.mean().item<double>()) < 4.5 * se);
  CHECK(std::abs(u.var().item<double>() - 1) < 4.5 * std::sqrt(2.0) * se);
  CHECK((u.abs() < 1.959964).to(at::kDouble).mean().item<double>() == doctest::Approx(0.95).epsilon(0.003));
}

TEST_CASE("random: uniform draws fill [-bound, bound)") {
  const at::Tensor u = RandomStream(1).uniform({100000}, 0.25);
  CHECK(u.min().item<double>() >= -0.25);
  CHECK(u.max().item<double>() < 0.25);
  CHECK(u.min().item<double>() < -0.2499);
  CHECK(u.max().item<double>() > 0.2499);
  CHECK(std::abs(u.mean().item<double>()) < 4.5 * 0.25 / std::sqrt(3.0 * 100000));
}

TEST_CASE("random: a dropout mask is 0 or 1 / (1 - p), and 1 on average") {
  constexpr std::int64_t n = 100000;
  for (const double p : {0.1, 0.5, 0.9}) {
    CAPTURE(p);
    RandomStream random(3);
    const at::Tensor mask = random.dropout_mask(at::empty({n}), p);
    const at::Tensor zero = mask == 0;
    CHECK(max_difference(mask.masked_select(~zero), at::full({n - zero.sum().item<std::int64_t>()}, 1 / (1 - p))) <
          1e-6);
    const double se = std::sqrt(p * (1 - p) / n);
    CHECK(std::abs(zero.to(at::kDouble).mean().item<double>() - p) < 4.5 * se);
    CHECK(std::abs(mask.mean(at::kDouble).item<double>() - 1) < 4.5 * se / (1 - p));
  }
}

TEST_CASE("random: what a dropout mask drops does not depend on the entry before, nor on the mask before") {
  constexpr std::int64_t n = 200001;  // odd
  RandomStream random(8);
  const at::Tensor first = random.dropout_mask(at::empty({n}), 0.3) == 0;
  const at::Tensor second = random.dropout_mask(at::empty({n}), 0.3) == 0;
  const auto both = [](const at::Tensor& a, const at::Tensor& b) {
    return at::logical_and(a, b).to(at::kDouble).mean().item<double>();
  };
  const double se = std::sqrt(0.09 * 0.91 / n);
  CHECK(std::abs(both(first, second) - 0.09) < 4.5 * se);
  for (const std::int64_t lag : {1, 2, 128}) {
    CHECK(std::abs(both(first.narrow(0, 0, n - lag), first.narrow(0, lag, n - lag)) - 0.09) < 4.5 * se);
  }
}

TEST_CASE("random: a permutation holds every number once and each is as likely anywhere") {
  RandomStream random(2);
  constexpr int n_draws = 6000, n = 5;
  std::vector<std::vector<int>> times(n, std::vector<int>(n));
  for (int draw = 0; draw < n_draws; ++draw) {
    Cells order = random.permutation(n);
    for (int place = 0; place < n; ++place) ++times[order[place]][place];
    std::sort(order.begin(), order.end());
    REQUIRE(order == cells_from(0, n));
  }
  const double expected = n_draws / static_cast<double>(n), sd = std::sqrt(expected * (1 - 1.0 / n));
  for (const auto& row : times) {
    for (const int count : row) CHECK(std::abs(count - expected) < 4.5 * sd);
  }
  CHECK(random.permutation(0).empty());
  CHECK(RandomStream(9).permutation(50) == RandomStream(9).permutation(50));
  CHECK(RandomStream(9).permutation(50) != RandomStream(10).permutation(50));
}
