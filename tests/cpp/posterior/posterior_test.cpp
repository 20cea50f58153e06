#include "core/posterior/posterior.h"

#include <stdexcept>

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("posterior: minibatches are consecutive stretches of its cells, the last one what is left") {
  const Toy toy = toy_data();
  Posterior posterior = posterior_of(toy_model(toy_options()), toy, /*batch_size=*/4);
  posterior.cells = {9, 3, 3, 50, 1, 0, 59, 9, 2};
  Cells starts, sizes;
  std::vector<at::Tensor> rows;
  for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t start) {
    starts.push_back(start);
    sizes.push_back(minibatch.size());
    rows.push_back(minibatch.x.dense());
  });
  CHECK(starts == Cells{0, 4, 8});
  CHECK(sizes == Cells{4, 4, 1});
  CHECK(same_bits(at::cat(rows), toy.x.index_select(0, at::tensor(posterior.cells))));
  CHECK(posterior.n_cells() == 9);

  posterior.cells = {};
  for_each_minibatch(posterior, [&](const Minibatch&, std::int64_t) { FAIL("there is no cell"); });
}

TEST_CASE("posterior: the corrupted counts when it is over those") {
  Toy toy = toy_data();
  toy.dataset->corrupted = source_of(compress(toy.x + 1));
  Posterior posterior = posterior_of(toy_model(toy_options()), toy);
  const auto counts = [&] {
    at::Tensor x;
    for_each_minibatch(posterior, [&](const Minibatch& minibatch, std::int64_t) { x = minibatch.x.dense(); });
    return x;
  };
  CHECK(same_bits(counts(), toy.x));
  posterior.counts = CountsKind::corrupted;
  CHECK(same_bits(counts(), toy.x + 1));
}

TEST_CASE("posterior: a slice of noise is the cells' part, with or without draws in front") {
  const at::Tensor z = at::arange(24, at::kFloat).view({6, 4}), library = at::arange(12, at::kFloat).view({2, 6, 1});
  const Noise part = slice({z, library}, 2, 3);
  CHECK(same_bits(part.z, z.slice(0, 2, 5)));
  CHECK(same_bits(part.library, library.slice(1, 2, 5)));
  CHECK_FALSE(slice(Noise(), 2, 3).z.defined());
}

TEST_CASE("posterior: an evaluation scope restores the model's mode and gradients, after an exception too") {
  for (const bool training : {true, false}) {
    Vae model = toy_model(toy_options());
    model->train(training);
    try {
      const EvaluationScope evaluation(model);
      CHECK_FALSE(model->is_training());
      CHECK_FALSE(at::GradMode::is_enabled());
      throw std::runtime_error("in the middle");
    } catch (const std::runtime_error&) {
    }
    CHECK(model->is_training() == training);
    CHECK(at::GradMode::is_enabled());
  }
}
