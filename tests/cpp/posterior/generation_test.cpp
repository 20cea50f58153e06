#include "core/posterior/generation.h"

#include "core/posterior/expression.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// A sink that puts blocks into one tensor, and counts what it was given.
struct Collected {
  Collected(std::int64_t n_samples, std::int64_t n_cells, std::int64_t n_genes)
      : values(at::full({n_samples, n_cells, n_genes}, -1.0, at::kFloat)) {}
  BlockSink sink() {
    return [this](const BlockPlace& place, const at::Tensor& block) {
      ++n_blocks;
      values.narrow(0, place.sample, block.size(0)).narrow(1, place.cell, block.size(1)).copy_(block);
    };
  }
  at::Tensor values;
  int n_blocks = 0;
};

Noise zero_noise(std::int64_t n_samples, std::int64_t n_cells) {
  return {at::zeros({n_samples, n_cells, 3}), at::zeros({n_samples, n_cells, 1})};
}

Noise random_noise(std::int64_t n_samples, std::int64_t n_cells) {
  RandomStream random(17);
  return {random.normal({n_samples, n_cells, 3}, c10::kCPU), random.normal({n_samples, n_cells, 1}, c10::kCPU)};
}

// What the model says of all cells at once.
CountParameters decoded(const Posterior& posterior, const Noise& noise, std::int64_t n_samples,
                        std::optional<std::int64_t> batch = std::nullopt) {
  Vae model = posterior.model;
  const EvaluationScope evaluation(model);
  RandomStream random(1);
  const Minibatch cells = minibatch_of(*posterior.dataset, posterior.cells);
  const LatentDraw draw = model->draw(model->encode(cells.x, cells, random), n_samples, noise, random);
  return model->decode(draw, as_batch(cells, batch), /*want_dropout=*/true, random);
}

VaeOptions options_with(Dispersion dispersion, ReconstructionLoss loss = ReconstructionLoss::zinb) {
  VaeOptions options = toy_options();
  options.dispersion = dispersion;
  options.reconstruction_loss = loss;
  return options;
}

constexpr Dispersion all_dispersions[] = {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label,
                                          Dispersion::gene_cell};

}  // namespace

TEST_CASE("draw blocks: every cell and draw comes once, with its own noise, in blocks of bounded size") {
  const Toy toy = toy_data(60);
  constexpr std::int64_t n_samples = 12000;  // of 60 x 12: more than is decoded at a time
  const Posterior whole = posterior_of(scrambled_model(toy_options()), toy);
  const Noise noise = random_noise(n_samples, 60);
  Collected rates(n_samples, 60, toy_genes);
  RandomStream random(1);
  sample_rate(whole, {n_samples, {}, {}}, noise, random, rates.sink());
  CHECK(rates.n_blocks > 1);
  CHECK(max_relative_difference(rates.values, decoded(whole, noise, n_samples).px_rate) < 1e-5);

  Collected in_parts(5, 60, toy_genes), mean(1, 60, toy_genes);
  const Noise some = random_noise(5, 60);
  const Posterior parts = posterior_of(whole.model, toy, /*batch_size=*/7);
  count_parameters(parts, 5, /*mean=*/false, some, random, {{}, in_parts.sink(), {}});
  CHECK(in_parts.n_blocks == 9);
  CHECK(max_relative_difference(in_parts.values, decoded(whole, some, 5).px_rate) < 1e-5);
  count_parameters(parts, 5, /*mean=*/true, some, random, {{}, mean.sink(), {}});
  CHECK(max_relative_difference(mean.values[0], in_parts.values.mean(0)) < 1e-5);

  Collected wide(5, 60, toy_genes);  // few genes: expression takes more cells at a time than minibatches hold
  sample_rate(parts, {5, {}, {}}, some, random, wide.sink());
  CHECK(wide.n_blocks == 1);
  CHECK(max_relative_difference(wide.values, in_parts.values) < 1e-5);
  Collected mean_of_blocks(1, 60, toy_genes);
  sample_rate(whole, {n_samples, {}, {}}, noise, random, MeanOverDraws(n_samples, mean_of_blocks.sink()));
  CHECK(mean_of_blocks.n_blocks == 1);
  CHECK(max_relative_difference(mean_of_blocks.values[0], rates.values.to(at::kDouble).mean(0)) < 1e-5);
}

TEST_CASE("expression: batches are averaged over with the same draws, and genes are picked") {
  const Toy toy = toy_data(30, /*n_batch=*/3);
  const Posterior posterior = posterior_of(scrambled_model(toy_options(3)), toy, /*batch_size=*/11);
  const Noise noise = random_noise(2, 30);
  RandomStream random(1);
  Collected rate(2, 30, 2), scale(2, 30, 2);
  const std::vector<std::int64_t> genes = {7, 2};
  sample_rate(posterior, {2, {2, 0}, genes}, noise, random, rate.sink());
  SampleScaleOptions options;
  options.n_samples = 2;
  options.transform_batch = {2, 0};
  options.genes = genes;
  options.library_size = 100;
  sample_scale(posterior, options, noise, random, scale.sink());
  const CountParameters a = decoded(posterior, noise, 2, 2), b = decoded(posterior, noise, 2, 0);
  const auto picked = [&](const at::Tensor& x) { return x.index_select(-1, at::tensor(genes, at::kLong)); };
  CHECK(max_relative_difference(rate.values, picked(a.px_rate + b.px_rate) / 2) < 1e-5);
  CHECK(max_relative_difference(scale.values, picked(a.px_scale + b.px_scale) * 50) < 1e-5);
}

TEST_CASE("generated counts have the means and zeros that the parameters say") {
  constexpr std::int64_t n_samples = 4000, n_cells = 12;
  const Toy toy = toy_data(n_cells);
  for (const ReconstructionLoss loss :
       {ReconstructionLoss::zinb, ReconstructionLoss::nb, ReconstructionLoss::poisson}) {
    for (const Dispersion dispersion : all_dispersions) {
      CAPTURE(static_cast<int>(loss));
      CAPTURE(static_cast<int>(dispersion));
      const Posterior posterior = posterior_of(scrambled_model(options_with(dispersion, loss)), toy, 5);
      Collected counts(n_samples, n_cells, toy_genes);
      RandomStream random(4);
      GenerationOptions options;
      options.n_samples = n_samples;
      options.transform_batch = 1;
      generate_counts(posterior, options, zero_noise(n_samples, n_cells), random, counts.sink());
      const at::Tensor x = counts.values.to(at::kDouble);
      CHECK((x == x.round()).all().item<bool>());
      CHECK(x.min().item<double>() == 0);

      const CountParameters expected = decoded(posterior, zero_noise(1, n_cells), 1, 1);
      const at::Tensor mu = expected.px_rate[0].to(at::kDouble);
      const at::Tensor theta = expected.px_r.to(at::kDouble).expand({1, n_cells, toy_genes})[0];
      const bool has_theta = loss != ReconstructionLoss::poisson, has_pi = loss == ReconstructionLoss::zinb;
      const at::Tensor kept = has_pi ? at::sigmoid(-expected.px_dropout[0].to(at::kDouble)) : at::ones_like(mu);
      const at::Tensor mean = kept * mu;
      const at::Tensor second = kept * (mu + mu.square() * (has_theta ? 1 + 1 / theta : at::ones_like(mu)));
      const at::Tensor zero_nb = has_theta ? at::exp(-theta * at::log1p(mu / theta)) : at::exp(-mu);
      const at::Tensor zero = 1 - kept + kept * zero_nb;
      // 144 entries, six standard errors.
      const at::Tensor error = (x.mean(0) - mean).abs() / at::sqrt((second - mean.square()) / n_samples);
      CHECK(error.max().item<double>() < 6);
      const at::Tensor zeros = (x == 0).to(at::kDouble).mean(0);
      CHECK(((zeros - zero).abs() / at::sqrt(zero * (1 - zero) / n_samples + 1e-8)).max().item<double>() < 6);
    }
  }
}

TEST_CASE("denoised samples are gamma with the mean of the scale, of chosen genes alone") {
  constexpr std::int64_t n_samples = 6000, n_cells = 9;
  const Toy toy = toy_data(n_cells);
  const Posterior posterior = posterior_of(scrambled_model(options_with(Dispersion::gene_batch)), toy, 4);
  GenerationOptions options;
  options.n_samples = n_samples;
  options.transform_batch = 0;
  options.genes = {11, 0, 5};
  Collected samples(n_samples, n_cells, 3);
  RandomStream random(4);
  denoised_samples(posterior, options, 250, zero_noise(n_samples, n_cells), random, samples.sink());
  const CountParameters expected = decoded(posterior, zero_noise(1, n_cells), 1, 0);
  const at::Tensor genes = at::tensor(options.genes, at::kLong);
  const at::Tensor mean = (expected.px_scale[0] * 250).index_select(1, genes).to(at::kDouble);
  const at::Tensor theta = expected.px_r.index_select(1, genes).to(at::kDouble);
  const at::Tensor w = samples.values.to(at::kDouble), variance = mean.square() / theta;
  CHECK(((w.mean(0) - mean).abs() / at::sqrt(variance / n_samples)).max().item<double>() < 6);
  CHECK(((w.var(0) / variance - 1).abs() / at::sqrt((2 + 6 / theta) / n_samples)).max().item<double>() < 6);
}

TEST_CASE("denoised samples of a Poisson model are the means themselves") {
  const Toy toy = toy_data(9);
  const Posterior posterior =
      posterior_of(scrambled_model(options_with(Dispersion::gene, ReconstructionLoss::poisson)), toy, 4);
  GenerationOptions options;
  options.n_samples = 2;
  Collected samples(2, 9, toy_genes);
  const Noise noise = random_noise(2, 9);
  RandomStream random(4);
  denoised_samples(posterior, options, 1000, noise, random, samples.sink());
  CHECK(max_relative_difference(samples.values, decoded(posterior, noise, 2).px_scale * 1000) < 1e-5);
}

TEST_CASE("count parameters: every dispersion has a row for each cell, and means are over draws") {
  constexpr std::int64_t n_samples = 3, n_cells = 20;
  const Toy toy = toy_data(n_cells);
  const Noise noise = random_noise(n_samples, n_cells);
  for (const Dispersion kind : all_dispersions) {
    CAPTURE(static_cast<int>(kind));
    const bool by_draw = kind == Dispersion::gene_cell;
    const Posterior posterior = posterior_of(scrambled_model(options_with(kind)), toy, /*batch_size=*/6);
    const CountParameters expected = decoded(posterior, noise, n_samples);
    const at::Tensor theta = expected.px_r.expand({by_draw ? n_samples : 1, n_cells, toy_genes});
    for (const bool mean : {false, true}) {
      const std::int64_t n = mean ? 1 : n_samples;
      Collected dropout(n, n_cells, toy_genes), rate(n, n_cells, toy_genes);
      Collected dispersion(by_draw ? n : 1, n_cells, toy_genes);
      RandomStream random(1);
      count_parameters(posterior, n_samples, mean, noise, random, {dropout.sink(), rate.sink(), dispersion.sink()});
      const auto averaged = [&](const at::Tensor& x) { return mean ? x.mean(0, /*keepdim=*/true) : x; };
      CHECK(max_relative_difference(dropout.values, averaged(expected.px_dropout)) < 1e-5);
      CHECK(max_relative_difference(rate.values, averaged(expected.px_rate)) < 1e-5);
      CHECK(max_relative_difference(dispersion.values, averaged(theta)) < 1e-5);
    }
  }
}
