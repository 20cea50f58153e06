#include "core/posterior/expression.h"

#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr double rounding = 1e-6;
constexpr std::int64_t n_cells = 30, n_batches = 3;

struct Scene {
  Toy toy = toy_data(n_cells, n_batches);
  Vae model = scrambled_model(toy_options(n_batches));
  RandomStream random{4};

  // (S, n, genes), put together from the blocks.
  at::Tensor scale(const SampleScaleOptions& options, const Noise& noise = Noise(), std::int64_t batch_size = 128,
                   std::uint64_t seed = 1) {
    RandomStream stream(seed);
    std::vector<at::Tensor> blocks;
    std::int64_t expected_start = 0;
    sample_scale(posterior_of(model, toy, batch_size), options, noise, stream,
                 [&](const BlockPlace& place, const at::Tensor& block) {
                   CHECK(place.cell == expected_start);
                   CHECK(place.sample == 0);
                   expected_start += block.size(1);
                   blocks.push_back(block);
                 });
    CHECK(expected_start == n_cells);
    return at::cat(blocks, 1);
  }

  Noise noise(std::int64_t n_samples) { return {random.normal({n_samples, n_cells, 3}, c10::kCPU), at::Tensor()}; }
};

SampleScaleOptions decode_as(const std::vector<std::int64_t>& batches, std::int64_t n_samples = 1) {
  SampleScaleOptions options;
  options.n_samples = n_samples;
  options.transform_batch = batches;
  return options;
}

}  // namespace

TEST_CASE("sample scale: the decoder's shares for the given draws, in each cell's own batch") {
  Scene scene;
  const Noise noise = scene.noise(2);
  const at::Tensor scale = scene.scale(decode_as({}, 2), noise);
  const EvaluationScope evaluation(scene.model);
  const Minibatch cells = minibatch_of(*scene.toy.dataset, cells_from(0, n_cells));
  const EncodedCells encoded = scene.model->encode(cells.x, cells, scene.random);
  const State state = live_state(*scene.model);
  for (int s = 0; s < 2; ++s) {
    const at::Tensor z = encoded.qz_m + at::sqrt(encoded.qz_v) * noise.z[s];
    const at::Tensor h = block_by_hand(state, "decoder.px_decoder", z, one_hot_columns(cells.batch_index, n_batches));
    const at::Tensor expected = at::softmax(linear_by_hand(state, "decoder.px_scale_decoder.0", h), 1);
    CHECK(max_relative_difference(scale[s], expected) < rounding);
  }
}

TEST_CASE("sample scale: several batches give the mean over them") {
  Scene scene;
  const Noise noise = scene.noise(2);
  at::Tensor mean = at::zeros({2, n_cells, toy_genes});
  for (std::int64_t batch = 0; batch < n_batches; ++batch) mean += scene.scale(decode_as({batch}, 2), noise) / 3;
  CHECK(max_relative_difference(scene.scale(decode_as({0, 1, 2}, 2), noise), mean) < rounding);
  CHECK(max_difference(scene.scale(decode_as({0}, 2), noise), mean) > 1e-3);
}

TEST_CASE("sample scale: a cell's own batch is that batch asked for") {
  Scene scene;
  const Noise noise = scene.noise(1);
  const at::Tensor own = scene.scale(decode_as({}), noise);
  for (std::int64_t batch = 0; batch < n_batches; ++batch) {
    const at::Tensor as_batch = scene.scale(decode_as({batch}), noise);
    for (std::int64_t cell = 0; cell < n_cells; ++cell) {
      if (scene.toy.dataset->batch[cell] != batch) continue;
      CHECK(max_relative_difference(as_batch[0][cell], own[0][cell]) < rounding);
    }
  }
}

TEST_CASE("sample scale: a subset of genes is columns of all genes, in the order asked for") {
  Scene scene;
  const Noise noise = scene.noise(2);
  SampleScaleOptions options = decode_as({}, 2);
  const at::Tensor all = scene.scale(options, noise);
  options.genes = {7, 0, 11};
  CHECK(same_bits(scene.scale(options, noise), all.index_select(2, at::tensor(options.genes))));
}

TEST_CASE("sample scale: the library size multiplies") {
  Scene scene;
  const Noise noise = scene.noise(1);
  SampleScaleOptions options = decode_as({});
  const at::Tensor shares = scene.scale(options, noise);
  CHECK(max_difference(shares.sum(2), at::ones({1, n_cells})) < rounding);
  options.library_size = 1e4;
  CHECK(max_relative_difference(scene.scale(options, noise), 1e4 * shares) < rounding);
}

TEST_CASE("sample scale: the size of minibatches does not matter, and the seed decides") {
  Scene scene;
  const Noise noise = scene.noise(3);
  CHECK(max_relative_difference(scene.scale(decode_as({}, 3), noise, 7), scene.scale(decode_as({}, 3), noise)) <
        rounding);
  const at::Tensor drawn = scene.scale(decode_as({}), Noise(), 128, 1);
  CHECK(same_bits(drawn, scene.scale(decode_as({}), Noise(), 128, 1)));
  CHECK_FALSE(same_bits(drawn, scene.scale(decode_as({}), Noise(), 128, 2)));
}
