#include "core/posterior/likelihood.h"

#include <algorithm>
#include <cmath>

#include "core/training/trainer.h"
#include "helpers.h"
#include "host_reads.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

double marginal(const Posterior& posterior, std::int64_t n_samples, const Noise& noise = Noise(),
                std::uint64_t seed = 1) {
  RandomStream random(seed);
  return negative_marginal_ll(posterior, n_samples, noise, random);
}

MeanLossTerms losses(const Posterior& posterior, const Noise& noise = Noise(), std::uint64_t seed = 1) {
  RandomStream random(seed);
  return mean_loss_terms(posterior, noise, random);
}

Noise noise_for(const Posterior& posterior, std::vector<std::int64_t> draws = {}) {
  RandomStream random(5);
  std::vector<std::int64_t> z = draws, library = draws;
  z.insert(z.end(), {posterior.n_cells(), posterior.model->options().n_latent});
  library.insert(library.end(), {posterior.n_cells(), 1});
  return {random.normal(z, c10::kCPU), random.normal(library, c10::kCPU)};
}

// Midpoints of n stretches of equal probability under the standard normal.
at::Tensor normal_quantiles(std::int64_t n) {
  const at::Tensor p = (at::arange(n, at::kDouble) + 0.5) / static_cast<double>(n);
  return (at::erfinv(2 * p - 1) * std::sqrt(2.0)).to(at::kFloat);
}

// A trained model with one latent dimension. Its q lies where the true posterior does; three times as wide as training
// left it, it also covers the posterior's tails, so that importance weights are bounded. p(x) does not depend on q.
Vae tiny_model(const Toy& toy) {
  VaeOptions options = toy_options();
  options.n_latent = 1;
  Vae model = toy_model(options);
  QuietMonitor monitor;
  train(model, toy.dataset, cells_from(0, toy.dataset->n_cells()), quick_training(100), RandomStream(1), monitor);
  const at::NoGradGuard no_grad;
  for (const char* encoder : {"z_encoder", "l_encoder"}) {
    find(live_state(*model), std::string(encoder) + ".var_encoder.bias").detach().add_(2 * std::log(3.0));
  }
  return model;
}

// -ln of the integral of N(z; 0, 1) N(l; M, V) p(x | z, l) over a grid of z and l.
double integrated_marginal(Vae model, const Toy& toy, std::int64_t cell) {
  constexpr std::int64_t n_z = 300, n_l = 150;
  const EvaluationScope evaluation(model);
  const Minibatch one = minibatch_of(*toy.dataset, {cell});
  const double mean = one.local_l_mean.item<double>(), sd = std::sqrt(one.local_l_var.item<double>());
  const at::Tensor z = at::linspace(-7, 7, n_z), l = at::linspace(mean - 7 * sd, mean + 7 * sd, n_l);
  const double area = 14.0 / (n_z - 1) * 14.0 * sd / (n_l - 1);

  LatentDraw draw;
  draw.z = draw.gaussian = z.repeat_interleave(n_l).unsqueeze(1);
  draw.library = l.repeat({n_z}).unsqueeze(1);
  RandomStream random(1);
  const std::int64_t n = n_z * n_l;
  const Conditions conditions = {one.batch_index.expand({n}), one.label.expand({n})};
  const at::Tensor log_p = model->log_likelihood(one.x.dense().expand({n, toy_genes}), draw, conditions, random);
  const at::Tensor standard = (draw.library - mean) / sd;
  const at::Tensor log_prior = -0.5 * (draw.z * draw.z + standard * standard) - std::log(2 * std::acos(-1.0) * sd);
  return -at::logsumexp(log_p.to(at::kDouble) + log_prior.squeeze(1).to(at::kDouble), 0).item<double>() -
         std::log(area);
}

}  // namespace

TEST_CASE("losses: means of the cells' own, whatever the size of minibatches") {
  const Toy toy = toy_data();
  const Posterior posterior = posterior_of(scrambled_model(toy_options()), toy);
  const Noise noise = noise_for(posterior);
  const MeanLossTerms mean = losses(posterior, noise);
  {
    const EvaluationScope evaluation(posterior.model);
    RandomStream random(1);
    Vae model = posterior.model;
    const LossTerms terms = model->loss_terms(minibatch_of(*toy.dataset, posterior.cells), noise, random);
    CHECK(mean.reconst_loss == doctest::Approx(terms.reconst_loss.mean().item<double>()).epsilon(1e-6));
    CHECK(mean.kl_z == doctest::Approx(terms.kl_z.mean().item<double>()).epsilon(1e-6));
    CHECK(mean.kl_l == doctest::Approx(terms.kl_l.mean().item<double>()).epsilon(1e-6));
  }
  CHECK(mean.negative_elbo() == doctest::Approx(mean.reconst_loss + mean.kl_z + mean.kl_l));
  const MeanLossTerms by_sevens = losses(posterior_of(posterior.model, toy, 7), noise);
  CHECK(by_sevens.negative_elbo() == doctest::Approx(mean.negative_elbo()).epsilon(1e-6));
  CHECK(by_sevens.reconst_loss == doctest::Approx(mean.reconst_loss).epsilon(1e-6));
}

TEST_CASE("marginal likelihood: with quantiles for noise it is a quadrature, and equals the integral on a grid") {
  constexpr std::int64_t n_z = 100, n_l = 40;
  const Toy toy = toy_data();
  const Vae model = tiny_model(toy);
  const Noise noise = {normal_quantiles(n_z).repeat_interleave(n_l).view({-1, 1, 1}),
                       normal_quantiles(n_l).repeat({n_z}).view({-1, 1, 1})};
  std::vector<double> errors;
  for (const std::int64_t cell : {0, 7, 20, 33, 41}) {
    CAPTURE(cell);
    Posterior posterior = posterior_of(model, toy);
    posterior.cells = {cell};
    errors.push_back(std::abs(marginal(posterior, n_z * n_l, noise) - integrated_marginal(model, toy, cell)));
    CHECK(errors.back() < 0.05);  // the quantiles end before the posterior of some cells does
  }
  std::sort(errors.begin(), errors.end());
  CHECK(errors[2] < 0.002);
}

TEST_CASE("marginal likelihood: random draws converge to the integral, and lie below the negative ELBO") {
  const Toy toy = toy_data();
  Posterior posterior = posterior_of(tiny_model(toy), toy);
  posterior.cells = {0, 7, 20, 41};
  double expected = 0;
  for (const std::int64_t cell : posterior.cells) expected += integrated_marginal(posterior.model, toy, cell) / 4;
  const double sampled = marginal(posterior, 2000);
  CHECK(std::abs(sampled - expected) < 0.05);

  Cells often;
  for (int k = 0; k < 200; ++k) often.insert(often.end(), posterior.cells.begin(), posterior.cells.end());
  posterior.cells = often;
  const double elbo = losses(posterior).negative_elbo();
  CHECK(elbo > expected);
  CHECK(marginal(posterior, 30) < elbo);
}

TEST_CASE("marginal likelihood: one draw gives the negative ELBO in expectation") {
  for (const auto latent : {LatentDistribution::normal, LatentDistribution::logistic_normal}) {
    VaeOptions options = toy_options();
    options.latent_distribution = latent;
    const Toy toy = toy_data();
    Posterior posterior = posterior_of(scrambled_model(options), toy);
    posterior.cells.clear();
    for (int k = 0; k < 4000; ++k) posterior.cells.push_back(k % 4);
    const Noise noise = noise_for(posterior);
    const Noise one_draw = {noise.z.unsqueeze(0), noise.library.unsqueeze(0)};
    // With the same draws the reconstruction is the same; what is left is the divergences against their samples.
    const double difference = marginal(posterior, 1, one_draw) - losses(posterior, noise).negative_elbo();
    const auto sampled = [&](std::int64_t k) {  // the same over a thousand cells, for the standard error
      Posterior part = posterior;
      part.cells.assign(posterior.cells.begin() + 1000 * k, posterior.cells.begin() + 1000 * (k + 1));
      const Noise of_part = slice(noise, 1000 * k, 1000);
      return marginal(part, 1, {of_part.z.unsqueeze(0), of_part.library.unsqueeze(0)}) -
             losses(part, of_part).negative_elbo();
    };
    double sum_of_squares = 0;
    for (int k = 0; k < 4; ++k) sum_of_squares += std::pow(sampled(k) - difference, 2);
    const double se = std::sqrt(sum_of_squares / 3 / 4);
    CHECK(std::abs(difference) < 8 * se);  // Student's t with 3 degrees of freedom: 0.4 %
    CHECK(std::abs(difference) < 0.5);
  }
}

TEST_CASE("marginal likelihood: several draws are averaged as weights, not as logarithms") {
  const Toy toy = toy_data();
  Posterior posterior = posterior_of(scrambled_model(toy_options()), toy);
  posterior.cells = {11};
  const Noise noise = noise_for(posterior, {3});
  double weight = 0;
  for (int s = 0; s < 3; ++s) {
    weight += std::exp(-marginal(posterior, 1, {noise.z.narrow(0, s, 1), noise.library.narrow(0, s, 1)})) / 3;
  }
  CHECK(marginal(posterior, 3, noise) == doctest::Approx(-std::log(weight)).epsilon(1e-6));
}

TEST_CASE("marginal likelihood: the size of minibatches does not matter, the seed does") {
  const Toy toy = toy_data();
  const Vae model = scrambled_model(toy_options());
  const Noise noise = noise_for(posterior_of(model, toy), {4});
  const double whole = marginal(posterior_of(model, toy, 128), 4, noise);
  CHECK(marginal(posterior_of(model, toy, 7), 4, noise) == doctest::Approx(whole).epsilon(1e-6));
  CHECK(marginal(posterior_of(model, toy), 4, Noise(), 1) == marginal(posterior_of(model, toy), 4, Noise(), 1));
  CHECK(marginal(posterior_of(model, toy), 4, Noise(), 1) != marginal(posterior_of(model, toy), 4, Noise(), 2));
}

TEST_CASE("likelihood: the host reads sums alone, however many minibatches there are") {
  const Toy toy = toy_data();
  const Vae model = scrambled_model(toy_options());
  for (const std::int64_t batch_size : {60, 7}) {
    const Posterior posterior = posterior_of(model, toy, batch_size);
    CHECK(host_reads([&] { losses(posterior); }) == 3);
    CHECK(host_reads([&] { marginal(posterior, 5); }) == 1);
  }
}
