#include "core/posterior/paired_scales.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("paired scales: shares and means are those of the samples' scales, pair by pair, of any rows") {
  const Toy toy = toy_data(30, 2);
  Vae model = scrambled_model(toy_options(2));
  const auto sample = [&](std::uint64_t seed, std::int64_t n) {
    RandomStream random(seed);
    return sample_population(posterior_of(model, toy), {n, {0, 1}}, random);
  };
  const Population a = sample(1, 300), b = sample(2, 260);
  RandomStream random(3);
  const Cells rows1 = random.permutation(260), rows2 = random.permutation(260);  // several blocks
  int polled = 0;
  const PairedScales found = compare_paired(model, a, b, rows1, rows2, [&] { ++polled; });
  CHECK(polled > 1);
  const auto chosen = [&](const Population& population, const Cells& rows) {
    return population_scale(model, population, 0, toy_genes).index_select(0, at::tensor(rows, at::kLong));
  };
  const at::Tensor s1 = chosen(a, rows1), s2 = chosen(b, rows2);
  const std::vector<double> above = values_of((s1 > s2).to(at::kDouble).mean(0));
  const std::vector<double> mean1 = values_of(s1.mean(0, false, at::kDouble));
  const std::vector<double> mean2 = values_of(s2.mean(0, false, at::kDouble));
  REQUIRE(found.above.size() == static_cast<std::size_t>(toy_genes));
  for (std::size_t g = 0; g < above.size(); ++g) {
    CHECK(found.above[g] == doctest::Approx(above[g]).epsilon(1e-12));
    CHECK(found.mean1[g] == doctest::Approx(mean1[g]).epsilon(1e-6));
    CHECK(found.mean2[g] == doctest::Approx(mean2[g]).epsilon(1e-6));
  }
}

TEST_CASE("paired scales: a population's scales gene by gene are the transpose, with and without a normaliser before") {
  const Toy toy = toy_data(30, 2);
  Vae model = scrambled_model(toy_options(2));
  RandomStream random(1);
  Population population = sample_population(posterior_of(model, toy), {300, {0, 1}}, random);
  CHECK(!population.log_normaliser.defined());
  const at::Tensor scale = population_scale(model, population, 2, 5);
  const at::Tensor before = population_scale_by_gene(model, population, 2, 5);
  fill_normaliser(model, population);
  CHECK(population.log_normaliser.sizes() == at::IntArrayRef({300, 1}));
  CHECK(max_relative_difference(before, scale.t()) < 1e-6);
  CHECK(max_relative_difference(population_scale_by_gene(model, population, 2, 5), scale.t()) < 1e-6);
}
