#include "core/model/start.h"

#include <cmath>
#include <random>

#include "core/base/errors.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// theta = sum mu^2 / sum ((x - mu)^2 - x), mu = total x share, of the cells with this code; written out in double.
at::Tensor moments_by_hand(const at::Tensor& counts, const std::vector<std::int64_t>& group, std::int64_t code) {
  const at::Tensor x = counts.to(at::kDouble).index({at::tensor(group, at::kLong) == code});
  const at::Tensor total = x.sum(1, /*keepdim=*/true), share = x.sum(0, /*keepdim=*/true) / x.sum();
  const at::Tensor mu = total * share;
  const at::Tensor theta = mu.square().sum(0) / ((x - mu).square() - x).sum(0);
  return at::where(theta > 0, at::log(theta), at::full_like(theta, 5)).clamp(-7, 5);
}

std::vector<std::int64_t> all_in_one(const Toy& toy) { return std::vector<std::int64_t>(toy.dataset->n_cells(), 0); }

Vae started(const Toy& toy, const VaeOptions& options) {
  Vae model = toy_model(options);
  start_from_data(*model, *toy.dataset);
  return model;
}

VaeOptions with_moments(Dispersion dispersion) {
  VaeOptions options = toy_options();
  options.dispersion = dispersion;
  options.dispersion_start = DispersionStart::moments;
  return options;
}

// Names of the tensors that differ.
std::vector<std::string> differing(const Vae& a, const Vae& b) {
  const State left = live_state(*a), right = live_state(*b);
  std::vector<std::string> names;
  for (std::size_t k = 0; k < left.size(); ++k) {
    if (!same_bits(left[k].second, right[k].second)) names.push_back(left[k].first);
  }
  return names;
}

}  // namespace

TEST_CASE("start: moment estimates are those written out, of all cells and of groups") {
  const Toy toy = toy_data();
  const at::Tensor all = moment_log_dispersion(*toy.dataset->counts, all_in_one(toy), 1);
  CHECK(max_difference(all.select(1, 0).to(at::kDouble), moments_by_hand(toy.x, all_in_one(toy), 0)) < 1e-5);
  CHECK(all.min().item<float>() < 2);
  const at::Tensor by_label = moment_log_dispersion(*toy.dataset->counts, toy.dataset->label, toy_labels);
  for (std::int64_t k = 0; k < toy_labels; ++k) {
    const at::Tensor expected = moments_by_hand(toy.x, toy.dataset->label, k);
    CHECK(max_difference(by_label.select(1, k).to(at::kDouble), expected) < 1e-4);
  }
}

TEST_CASE("start: moment estimates of a negative binomial are near its dispersion") {
  constexpr std::int64_t n = 6000;
  const std::vector<double> theta = {0.2, 1, 5}, mean = {3, 6, 10};
  std::mt19937_64 engine(11);
  at::Tensor x = at::zeros({n, 4}, at::kFloat);
  auto value = x.accessor<float, 2>();
  for (std::int64_t cell = 0; cell < n; ++cell) {
    for (int gene = 0; gene < 3; ++gene) {
      std::gamma_distribution<double> rate(theta[gene], mean[gene] / theta[gene]);
      value[cell][gene] = static_cast<float>(std::poisson_distribution<int>(rate(engine))(engine));
    }
    value[cell][3] = 2000 - value[cell][0] - value[cell][1] - value[cell][2];  // all totals alike
  }
  const auto counts = compress(x);
  const at::Tensor start = moment_log_dispersion(*source_of(counts), std::vector<std::int64_t>(n, 0), 1);
  // Standard errors of ln theta at this n are about .06, .03 and .03.
  for (int gene = 0; gene < 3; ++gene) CHECK(std::abs(start[gene][0].item<double>() - std::log(theta[gene])) < 0.2);
}

TEST_CASE("start: genes that vary little end at 5, very variable ones at -7, unknown ones at 0 or the overall value") {
  // Gene 0 is constant, gene 1 in one cell of many alone, gene 2 nowhere, gene 3 in the first group alone.
  constexpr std::int64_t n = 4000;
  at::Tensor x = at::zeros({n, 4}, at::kFloat);
  x.select(1, 0).fill_(50);
  x[0][1] = 400;
  std::vector<std::int64_t> group(n);
  for (std::int64_t cell = 0; cell < n; ++cell) {
    group[cell] = cell < n / 2 ? 0 : cell < n - 10 ? 1 : -1;
    if (group[cell] == 0) x[cell][3] = cell % 3 == 0 ? 9 : 0;
  }
  const auto counts = compress(x);
  const at::Tensor start = moment_log_dispersion(*source_of(counts), group, 2);
  const auto at_gene = [&](int gene, int k) { return start[gene][k].item<double>(); };
  CHECK(at_gene(0, 1) == 5);
  // In the first group one cell has nine times the others' total, but no more of gene 0: that is variation.
  CHECK(at_gene(0, 0) == doctest::Approx(moments_by_hand(x, group, 0)[0].item<double>()).epsilon(1e-5));
  CHECK(at_gene(1, 0) == -7);
  CHECK(at_gene(2, 0) == 0);
  CHECK(at_gene(2, 1) == 0);
  const at::Tensor overall = moments_by_hand(x, std::vector<std::int64_t>(n, 0), 0);
  CHECK(at_gene(3, 1) == doctest::Approx(overall[3].item<double>()).epsilon(1e-5));
  CHECK(at_gene(3, 0) != doctest::Approx(overall[3].item<double>()).epsilon(1e-2));
}

TEST_CASE("start: dispersion by moments moves px_r and nothing else") {
  const Toy toy = toy_data();
  for (const Dispersion dispersion : {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label}) {
    const VaeOptions options = with_moments(dispersion);
    Vae model = started(toy, options);
    CHECK(differing(toy_model(options), model) == std::vector<std::string>{"px_r"});
    const bool by_batch = dispersion == Dispersion::gene_batch;
    const std::vector<std::int64_t> group = dispersion == Dispersion::gene ? all_in_one(toy)
                                            : by_batch                     ? toy.dataset->batch
                                                                           : toy.dataset->label;
    const at::Tensor px_r = find(live_state(*model), "px_r").view({toy_genes, -1});
    for (std::int64_t k = 0; k < px_r.size(1); ++k) {
      CHECK(max_difference(px_r.select(1, k).to(at::kDouble), moments_by_hand(toy.x, group, k)) < 1e-4);
    }
  }
  VaeOptions none = toy_options();
  CHECK(differing(toy_model(none), started(toy, none)).empty());
}

TEST_CASE("start: dispersions of one are exactly that, and need no data; the other weights are the seed's") {
  for (const Dispersion dispersion : {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label}) {
    VaeOptions options = toy_options();
    options.dispersion = dispersion;
    const Vae at_random = toy_model(options);
    options.dispersion_start = DispersionStart::one;
    const Vae model = toy_model(options);
    CHECK(differing(at_random, model) == std::vector<std::string>{"px_r"});
    CHECK(at::all(find(live_state(*model), "px_r") == 0).item<bool>());
  }
}

TEST_CASE("start: the library's encoder at its prior moves two biases") {
  const Toy toy = toy_data();
  double mean = 0, variance = 0;
  for (const float m : toy.dataset->local_mean) mean += m / static_cast<double>(toy.dataset->n_cells());
  for (const float v : toy.dataset->local_var) variance += v / static_cast<double>(toy.dataset->n_cells());
  for (const Library library : {Library::latent, Library::residual}) {
    VaeOptions options = toy_options();
    options.library = library;
    options.library_start = LibraryStart::prior;
    Vae model = started(toy, options);
    std::vector<std::string> moved = {"l_encoder.mean_encoder.bias", "l_encoder.var_encoder.bias"};
    if (library == Library::residual) moved.erase(moved.begin());
    CHECK(differing(toy_model(options), model) == moved);
    const State state = live_state(*model);
    CHECK(find(state, "l_encoder.mean_encoder.bias").item<double>() ==
          doctest::Approx(library == Library::residual ? 0 : mean).epsilon(1e-6));
    const double log_variance = find(state, "l_encoder.var_encoder.bias").item<double>();
    CHECK(log_variance == doctest::Approx(std::log(variance)).epsilon(1e-6));
  }
}

TEST_CASE("start: the decoder's shares at those of the data move its biases") {
  const Toy toy = toy_data();
  VaeOptions options = toy_options();
  options.scale_start = ScaleStart::shares;
  Vae model = started(toy, options);
  const std::string name = "decoder.px_scale_decoder.0.bias";
  CHECK(differing(toy_model(options), model) == std::vector<std::string>{name});
  const at::Tensor count = toy.x.to(at::kFloat).sum(0).clamp_min(0.5);
  const State state = live_state(*model);
  CHECK(at::allclose(at::softmax(find(state, name), 0), count / count.sum(), 1e-5, 1e-7));
}

TEST_CASE("start: training goes on from there, with gradients for what was moved") {
  const Toy toy = toy_data();
  VaeOptions options = with_moments(Dispersion::gene);
  options.library_start = LibraryStart::prior;
  Vae model = started(toy, options);
  RandomStream random(4);
  const Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(0, 40));
  model->objective(model->loss_terms(minibatch, Noise(), random), 1).mean().backward();
  for (const char* name : {"px_r", "l_encoder.mean_encoder.bias", "l_encoder.var_encoder.bias"}) {
    const at::Tensor gradient = model->named_parameters()[name].grad();
    REQUIRE(gradient.defined());
    CHECK(gradient.abs().max().item<double>() > 0);
  }
}

TEST_CASE("start: what does not fit is named") {
  const Toy toy = toy_data();
  VaeOptions options = with_moments(Dispersion::gene);
  options.n_input = toy_genes + 1;
  const auto start = [&] { started(toy, options); };
  CHECK_THROWS_WITH_AS(start(), "the model has 13 genes, the data set 12", InvalidArgument);
  options = with_moments(Dispersion::gene_batch);
  options.n_batch = 1;
  CHECK_THROWS_WITH_AS(start(), "the model has 1 batches, the data set 2", InvalidArgument);
  options = with_moments(Dispersion::gene_cell);
  CHECK_THROWS_WITH_AS(validate(options),
                       "dispersion_start \"moments\" does not go with dispersion \"gene-cell\", which has no start",
                       InvalidArgument);
  options.dispersion_start = DispersionStart::one;
  CHECK_THROWS_WITH_AS(validate(options),
                       "dispersion_start \"one\" does not go with dispersion \"gene-cell\", which has no start",
                       InvalidArgument);
  options = toy_options();
  options.library = Library::observed;
  options.library_start = LibraryStart::prior;
  CHECK_THROWS_WITH_AS(validate(options),
                       "library_start \"prior\" does not go with library \"observed\", which has no encoder",
                       InvalidArgument);
  options = toy_options();
  options.type = ModelType::ldvae;
  options.scale_start = ScaleStart::shares;
  CHECK_THROWS_WITH_AS(validate(options),
                       "scale_start \"shares\" does not go with a linear decoder, whose logits have no biases",
                       InvalidArgument);
}
