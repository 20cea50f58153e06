#include "core/posterior/population.h"

#include <algorithm>
#include <map>
#include <set>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr double rounding = 1e-6;
constexpr std::int64_t n_cells = 30, n_batches = 3;
constexpr std::uint64_t seed = 11;

struct Scene {
  Toy toy = toy_data(n_cells, n_batches);
  Vae model = scrambled_model(toy_options(n_batches));

  Population sample(const Cells& cells, std::int64_t n_samples, const Cells& batches, std::uint64_t s = seed,
                    std::int64_t batch_size = 128) {
    Posterior posterior = posterior_of(model, toy, batch_size);
    posterior.cells = cells;
    RandomStream random(s);
    return sample_population(posterior, {n_samples, batches}, random);
  }

  at::Tensor scale(const Population& population) { return population_scale(model, population, 0, toy_genes); }
};

std::map<std::int64_t, std::int64_t> tally(const Cells& values) {
  std::map<std::int64_t, std::int64_t> count;
  for (const std::int64_t v : values) ++count[v];
  return count;
}

// A population whose hidden rows say where they come from: all of them are `mark`.
Population marked(double mark, std::int64_t n, const Cells& batch) {
  Population population;
  population.hidden = at::full({n, 2}, mark, at::kFloat);
  population.hidden.select(1, 1).copy_(at::arange(n, at::kFloat));
  population.log_normaliser = population.hidden.narrow(1, 0, 1).clone();
  population.batch = batch;
  return population;
}

Cells halves(std::int64_t n) {  // batch 4 for the first half, 6 for the second
  Cells batch(n, 4);
  std::fill(batch.begin() + n / 2, batch.end(), 6);
  return batch;
}

std::int64_t count_marks(const at::Tensor& hidden, double mark) {
  return (hidden.select(1, 0) == mark).sum().item<std::int64_t>();
}

}  // namespace

TEST_CASE("population: scales are those of drawing cells, encoding and decoding each draw by itself") {
  Scene scene;
  const Cells cells = {3, 9, 10, 27};
  for (const Cells& batches : {Cells{0, 2}, Cells{1}, Cells{}}) {
    const std::int64_t n = 20;
    const Population population = scene.sample(cells, n, batches);
    REQUIRE(population.n_samples() == n);

    RandomStream random(seed);
    Cells drawn;
    for (const std::int64_t k : random.integers(n, 4)) drawn.push_back(cells[k]);
    const EvaluationScope evaluation(scene.model);
    const Minibatch minibatch = minibatch_of(*scene.toy.dataset, drawn);
    const GaussianParameters encoded = scene.model->encode_z(minibatch.x, minibatch, random);
    const LatentDraw draw = scene.model->draw_z(encoded, std::nullopt, at::Tensor(), random);
    Cells decoded_as = population.batch;
    if (batches.empty()) {
      CHECK(population.batch.empty());
      for (const std::int64_t cell : drawn) decoded_as.push_back(scene.toy.dataset->batch[cell]);
    }
    const at::Tensor batch = at::tensor(decoded_as, at::kLong);
    const CountParameters parameters = scene.model->decode(draw, {batch, minibatch.label}, false, random);
    CHECK(max_relative_difference(scene.scale(population) * toy_genes, parameters.px_scale * toy_genes) < rounding);
  }
}

TEST_CASE("population: any stretch of genes is that stretch of all of them, and rows of all sum to 1") {
  Scene scene;
  const Population population = scene.sample(cells_from(0, n_cells), 700, {0, 1, 2});  // several blocks of rows
  const at::Tensor all = scene.scale(population);
  CHECK(max_difference(all.sum(1), at::ones({population.n_samples()})) < 1e-5);
  for (const auto& [first, n] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {5, 4}, {11, 1}, {0, 12}}) {
    const at::Tensor part = population_scale(scene.model, population, first, n);
    CHECK(max_difference(part, all.narrow(1, first, n)) < rounding);
  }
}

TEST_CASE("population: as many samples of each batch, two where that is none, stacked in the order of the batches") {
  Scene scene;
  const Cells cells = {1, 2};
  CHECK(scene.sample(cells, 9, {2, 0}).batch == Cells{2, 2, 2, 2, 0, 0, 0, 0});
  CHECK(scene.sample(cells, 2, {0, 1, 2}).batch == Cells{0, 0, 1, 1, 2, 2});
  CHECK(scene.sample(cells, 5, {0, 1, 2}).batch == Cells{0, 1, 2});
  CHECK(scene.sample(cells, 7, {}).n_samples() == 7);
}

TEST_CASE("population: every cell is drawn about as often as any other") {
  Scene scene;
  // The latent noise goes: the variance is exp() of this layer's output.
  for (const auto& item : live_state(*scene.model)) {
    if (item.first == "z_encoder.var_encoder.weight") item.second.detach().zero_();
    if (item.first == "z_encoder.var_encoder.bias") item.second.detach().fill_(-40.0);
  }
  const Cells cells = {0, 1, 2, 5};
  const std::int64_t n = 8000;
  const at::Tensor samples = scene.sample(cells, n, {1}).hidden;
  const EvaluationScope evaluation(scene.model);
  RandomStream random(1);
  const Minibatch minibatch = minibatch_of(*scene.toy.dataset, cells);
  const GaussianParameters encoded = scene.model->encode_z(minibatch.x, minibatch, random);
  const at::Tensor centre =
      scene.model->decode_hidden(encoded.mean, {at::ones({4}, at::kLong), minibatch.label}, random);
  const at::Tensor nearest = at::cdist(samples, centre).argmin(1);
  Cells found;
  for (const double k : values_of(nearest)) found.push_back(static_cast<std::int64_t>(k));
  const auto count = tally(found);
  REQUIRE(count.size() == 4);
  for (const auto& [cell, drawn] : count) CHECK(std::abs(drawn - n / 4) < 200);  // standard deviation 39
}

TEST_CASE("population: the same stream gives the same bits, another one others; minibatches do not matter") {
  Scene scene;
  const Cells cells = cells_from(0, n_cells);
  const at::Tensor once = scene.scale(scene.sample(cells, 40, {0, 1}));
  CHECK(same_bits(once, scene.scale(scene.sample(cells, 40, {0, 1}))));
  CHECK(max_difference(once, scene.scale(scene.sample(cells, 40, {0, 1}, seed, /*batch_size=*/4))) < rounding);
  CHECK(max_difference(once, scene.scale(scene.sample(cells, 40, {0, 1}, seed + 1))) > 1e-3);
}

TEST_CASE("population: sampling leaves the model in the mode that it was in") {
  Scene scene;
  for (const bool training : {true, false}) {
    scene.model->train(training);
    const Population population = scene.sample({0, 1}, 4, {0});
    CHECK(scene.scale(population).requires_grad() == false);
    CHECK(scene.model->is_training() == training);
  }
}

TEST_CASE("mixture: each population has its weight, and no sample comes twice while there are enough") {
  const std::int64_t n = 4000;
  const Population a = marked(1, n, {}), b = marked(2, n, {}), c = marked(3, n, {});
  RandomStream random(1);
  const Population mixed = mix_populations({&a, &b, &c}, {100, 300, 0}, n, random);
  CHECK(mixed.batch.empty());
  CHECK(mixed.n_samples() == n);
  const std::int64_t of_a = count_marks(mixed.hidden, 1), of_b = count_marks(mixed.hidden, 2);
  CHECK(of_a + of_b == n);
  CHECK(std::abs(of_a - n / 4) < 150);  // standard deviation 27
  CHECK(same_bits(mixed.log_normaliser, mixed.hidden.narrow(1, 0, 1)));
  std::set<std::pair<double, double>> rows;
  for (std::int64_t k = 0; k < n; ++k) {
    rows.insert({mixed.hidden[k][0].item<double>(), mixed.hidden[k][1].item<double>()});
  }
  CHECK(static_cast<std::int64_t>(rows.size()) == n);
}

TEST_CASE("mixture: as many samples of each batch, each from samples of that batch") {
  const std::int64_t n = 600;
  const Population a = marked(1, n, halves(n)), b = marked(2, n, halves(n));
  RandomStream random(2);
  const Population mixed = mix_populations({&a, &b}, {1, 1}, n, random);
  CHECK(mixed.batch == halves(n));
  CHECK(mixed.n_samples() == n);
  for (std::int64_t k = 0; k < n; ++k) {
    const bool first_half = mixed.hidden[k][1].item<double>() < static_cast<double>(n / 2);
    CHECK(first_half == (mixed.batch[k] == 4));
  }
}

TEST_CASE("mixture: a population with too few samples gives each of them about as often") {
  const Population few = marked(1, 3, {});
  RandomStream random(3);
  const Population mixed = mix_populations({&few}, {1}, 10, random);
  Cells rows;
  for (std::int64_t k = 0; k < 10; ++k) rows.push_back(mixed.hidden[k][1].item<std::int64_t>());
  for (const auto& [row, n] : tally(rows)) CHECK((n == 3 || n == 4));
  CHECK(tally(rows).size() == 3);
}
