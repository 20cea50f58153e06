#include "core/posterior/latent.h"

#include <cmath>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// A matrix product may add up in another order for another number of rows, so results of different minibatches agree
// to the rounding of a float rather than bit for bit.
constexpr double rounding = 1e-6;

at::Tensor latent_of(const Posterior& posterior, bool give_mean = true, const Noise& noise = Noise(),
                     std::int64_t n_samples = 5000, std::uint64_t seed = 1) {
  RandomStream random(seed);
  return latent(posterior, give_mean, n_samples, noise, random);
}

VaeOptions logistic_normal_options() {
  VaeOptions options = toy_options();
  options.latent_distribution = LatentDistribution::logistic_normal;
  options.n_latent = 2;
  return options;
}

EncodedCells encode_all(const Posterior& posterior) {
  const EvaluationScope evaluation(posterior.model);
  RandomStream random(1);
  Vae model = posterior.model;
  const Minibatch cells = minibatch_of(*posterior.dataset, posterior.cells);
  return model->encode(cells.x, cells, random);
}

// E[sigmoid(d)] for d ~ N(m, v), by the trapezoidal rule.
double mean_of_sigmoid(double m, double v) {
  constexpr int n = 2000;
  const double sd = std::sqrt(v), h = 16.0 / n;
  double sum = 0;
  for (int k = 0; k <= n; ++k) {
    const double u = -8 + k * h;
    sum += std::exp(-u * u / 2) / (1 + std::exp(-(m + sd * u)));
  }
  return sum * h / std::sqrt(2 * std::acos(-1.0));
}

}  // namespace

TEST_CASE("latent: the mean is the encoder's, whatever the size of minibatches") {
  const Toy toy = toy_data();
  const Vae model = scrambled_model(toy_options());
  const at::Tensor whole = latent_of(posterior_of(model, toy, 128));
  CHECK(max_relative_difference(whole, encode_all(posterior_of(model, toy)).qz_m) < rounding);
  CHECK(max_relative_difference(latent_of(posterior_of(model, toy, 7)), whole) < rounding);
  CHECK(max_relative_difference(latent_of(posterior_of(model, toy, 1)), whole) < rounding);
  CHECK(same_bits(latent_of(posterior_of(model, toy, 128)), whole));
}

TEST_CASE("latent: rows follow the posterior's cells, repeats included") {
  const Toy toy = toy_data();
  Posterior posterior = posterior_of(scrambled_model(toy_options()), toy);
  const at::Tensor whole = latent_of(posterior);
  posterior.cells = {40, 2, 2, 59, 0};
  posterior.batch_size = 2;
  CHECK(max_relative_difference(latent_of(posterior), whole.index_select(0, at::tensor(posterior.cells))) < rounding);
}

TEST_CASE("latent: a draw is mean + sd * noise, whatever the size of minibatches") {
  const Toy toy = toy_data();
  const Posterior posterior = posterior_of(scrambled_model(toy_options()), toy, 7);
  RandomStream random(5);
  const Noise noise = {random.normal({60, 3}, c10::kCPU), at::Tensor()};
  const EncodedCells encoded = encode_all(posterior);
  CHECK(max_relative_difference(latent_of(posterior, /*give_mean=*/false, noise),
                                encoded.qz_m + at::sqrt(encoded.qz_v) * noise.z) < rounding);
  const at::Tensor draw = latent_of(posterior, false, Noise(), 1, /*seed=*/8);
  CHECK(same_bits(draw, latent_of(posterior, false, Noise(), 1, 8)));
  CHECK_FALSE(same_bits(draw, latent_of(posterior, false, Noise(), 1, 9)));
}

TEST_CASE("latent: the mean of a logistic normal is the average of softmaxes over given noise") {
  const Toy toy = toy_data();
  const Posterior posterior = posterior_of(scrambled_model(logistic_normal_options()), toy, 7);
  RandomStream random(5);
  const Noise noise = {random.normal({4, 60, 2}, c10::kCPU), at::Tensor()};
  const EncodedCells encoded = encode_all(posterior);
  const at::Tensor expected = at::softmax(encoded.qz_m + at::sqrt(encoded.qz_v) * noise.z, -1).mean(0);
  CHECK(max_relative_difference(latent_of(posterior, true, noise), expected) < rounding);
}

TEST_CASE("latent: the mean of a logistic normal converges to its integral, and each cell's sums to 1") {
  constexpr std::int64_t n_samples = 20050;  // no multiple of the draws that are made at once
  const Toy toy = toy_data();
  Posterior posterior = posterior_of(scrambled_model(logistic_normal_options()), toy);
  posterior.cells = {0, 10, 20, 30};
  const EncodedCells encoded = encode_all(posterior);
  const at::Tensor mean = latent_of(posterior, true, Noise(), n_samples);
  CHECK(max_difference(mean.sum(1), at::ones({4})) < 1e-5);
  for (int cell = 0; cell < 4; ++cell) {
    const auto m = values_of(encoded.qz_m[cell]), v = values_of(encoded.qz_v[cell]);
    const double expected = mean_of_sigmoid(m[0] - m[1], v[0] + v[1]);
    // A number between 0 and 1 has a standard deviation of at most 1/2.
    CHECK(std::abs(mean[cell][0].item<double>() - expected) < 4.5 * 0.5 / std::sqrt(static_cast<double>(n_samples)));
  }
}

TEST_CASE("latent: library draws are those of the library's Gaussian") {
  const Toy toy = toy_data();
  const Posterior posterior = posterior_of(scrambled_model(toy_options()), toy, 7);
  RandomStream random(5);
  const Noise noise = {at::Tensor(), random.normal({60, 1}, c10::kCPU)};
  const EncodedCells encoded = encode_all(posterior);
  const at::Tensor expected = encoded.ql_m + at::sqrt(encoded.ql_v) * noise.library;
  CHECK(max_relative_difference(library_draws(posterior, noise, random), expected.squeeze(1)) < rounding);
}

TEST_CASE("latent: asking leaves the model as it was, in its mode and its numbers") {
  const Toy toy = toy_data();
  Vae model = scrambled_model(toy_options());
  model->train();
  const State before = copy_state(*model);
  latent_of(posterior_of(model, toy));
  latent_of(posterior_of(model, toy), false);
  CHECK(model->is_training());
  CHECK(same_bits(live_state(*model), before));
}
