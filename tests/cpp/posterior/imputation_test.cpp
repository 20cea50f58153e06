#include "core/posterior/imputation.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// Every third count of every second cell, cell 0 first, is one less.
Toy corrupted_toy(std::int64_t n_cells) {
  Toy toy = toy_data(n_cells);
  at::Tensor x = toy.x.clone();
  for (std::int64_t cell = 0; cell < n_cells; cell += 2) {
    for (std::int64_t gene = cell % 3; gene < toy_genes; gene += 3) {
      if (x[cell][gene].item<float>() > 0) x[cell][gene] -= 1;
    }
  }
  toy.dataset->corrupted = source_of(compress(x));  // of another sparsity pattern
  return toy;
}

}  // namespace

TEST_CASE("imputed entries: by cell, draw and gene, from the corrupted counts") {
  constexpr std::int64_t n_samples = 2;
  const Toy toy = corrupted_toy(30);
  Posterior posterior = posterior_of(scrambled_model(toy_options()), toy, /*batch_size=*/7);
  posterior.cells = {4, 29, 8, 1, 4, 0, 2, 6, 3};  // cell 4 twice
  const auto n_cells = static_cast<std::int64_t>(posterior.cells.size());
  RandomStream random(2);
  const Noise noise = {random.normal({n_samples, n_cells, 3}, c10::kCPU),
                       random.normal({n_samples, n_cells, 1}, c10::kCPU)};
  const ImputedEntries entries = imputed_entries(posterior, n_samples, noise, random);

  const Minibatch read =
      gather_minibatch(*toy.dataset, posterior.cells.data(), n_cells, CountsKind::corrupted, c10::kCPU);
  const at::Tensor truth = minibatch_of(*toy.dataset, posterior.cells).x.dense();
  Vae model = posterior.model;
  const LatentDraw draw = model->draw(model->encode(read.x, read, random), n_samples, noise, random);
  const at::Tensor rate = model->decode(draw, read, false, random).px_rate;
  std::size_t k = 0;
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    for (std::int64_t sample = 0; sample < n_samples; ++sample) {
      for (std::int64_t gene = 0; gene < toy_genes; ++gene) {
        if (truth[cell][gene].item<float>() == read.x.dense()[cell][gene].item<float>()) continue;
        REQUIRE(k < entries.cell.size());
        CHECK(entries.cell[k] == cell);
        CHECK(entries.sample[k] == sample);
        CHECK(entries.gene[k] == gene);
        CHECK(entries.original[k] == truth[cell][gene].item<float>());
        CHECK(entries.imputed[k] == doctest::Approx(rate[sample][cell][gene].item<float>()).epsilon(1e-5));
        ++k;
      }
    }
  }
  CHECK(k > 20);
  CHECK(k == entries.cell.size());
  CHECK(k == entries.imputed.size());
}

TEST_CASE("imputed entries: none where nothing was corrupted, and an error where no corrupted counts are") {
  const Toy toy = toy_data(10);
  const Posterior posterior = posterior_of(scrambled_model(toy_options()), toy);
  RandomStream random(1);
  CHECK_THROWS_AS(imputed_entries(posterior, 1, {}, random), InvalidArgument);
  toy.dataset->corrupted = toy.dataset->counts;
  CHECK(imputed_entries(posterior, 1, {}, random).cell.empty());
}
