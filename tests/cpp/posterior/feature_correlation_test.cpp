#include "core/posterior/feature_correlation.h"

#include "core/posterior/row_correlation.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// Ranks by counting: 1 + smaller values + half of the other equal ones.
at::Tensor ranks_by_hand(const at::Tensor& rows) {
  const at::Tensor a = rows.unsqueeze(2), b = rows.unsqueeze(1);
  return (b < a).to(at::kFloat).sum(2) + ((b == a).to(at::kFloat).sum(2) + 1) / 2;
}

at::Tensor correlation_by_hand(const at::Tensor& rows) {
  const at::Tensor wide = rows.to(at::kDouble), centred = wide - wide.mean(1, /*keepdim=*/true);
  const at::Tensor length = centred.square().sum(1).sqrt();
  return centred.matmul(centred.t()) / (length.unsqueeze(1) * length);
}

at::Tensor correlations(at::Tensor rows, double weight = 1) {
  at::Tensor total = at::zeros({rows.size(0), rows.size(0)}, at::kDouble);
  add_row_correlations(rows, weight, total);
  return total;
}

}  // namespace

TEST_CASE("ranks: equal values share a rank, whatever their sign") {
  at::Tensor rows = matrix(2, {3, -1, 0, -0.0f, 3, 3, 1e-30f, -2e5f, 7, 7, 7, 7, 7, 7, 7, 7});
  const at::Tensor expected = matrix(2, {7, 2, 3.5, 3.5, 7, 7, 5, 1, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5});
  rank_rows(rows);
  CHECK(same_bits(rows, expected));
}

TEST_CASE("ranks equal those by counting") {
  RandomStream random(1);
  at::Tensor rows = random.normal({5, 3000}, c10::kCPU);
  rows[1] = rows[1].mul(3).round();  // many ties
  rows[2] = at::exp(rows[2] * 20);   // 10^-26 to 10^26
  const at::Tensor expected = ranks_by_hand(rows);
  rank_rows(rows);
  CHECK(same_bits(rows, expected));
}

TEST_CASE("row correlations equal the formula in double, over more rows and columns than one tile has") {
  RandomStream random(1);
  const at::Tensor common = random.normal({1, 5000}, c10::kCPU), own = random.normal({600, 5000}, c10::kCPU);
  at::Tensor rows = own + common * at::linspace(-2, 2, 600).unsqueeze(1);
  rows = rows * 3 + at::linspace(0, 1000, 600).unsqueeze(1);  // means that dwarf the spread
  const at::Tensor expected = correlation_by_hand(rows);
  const at::Tensor result = correlations(rows.clone());
  CHECK(max_difference(result, expected) < 2e-6);
  CHECK(same_bits(result, result.t().contiguous()));
  CHECK(same_bits(result.diagonal().contiguous(), at::ones({600}, at::kDouble)));
  CHECK(max_difference(correlations(rows.clone(), 0.25), expected / 4) < 1e-6);
}

TEST_CASE("a constant row correlates with itself alone") {
  const at::Tensor result = correlations(matrix(3, {1, 2, 3, 5, 5, 5, 3, 2, 1}));
  CHECK(result[0][2].item<double>() == doctest::Approx(-1));
  CHECK(result[1][1].item<double>() == 1);
  for (const int other : {0, 2}) {
    CHECK(std::isnan(result[1][other].item<double>()));
    CHECK(std::isnan(result[other][1].item<double>()));
  }
}

TEST_CASE("correlations of denoised samples are those of the samples, averaged over batches") {
  const Toy toy = toy_data(40);
  const Posterior posterior = posterior_of(scrambled_model(toy_options()), toy, /*batch_size=*/9);
  GenerationOptions options;
  options.n_samples = 3;
  for (const std::vector<std::int64_t>& genes : {std::vector<std::int64_t>{}, std::vector<std::int64_t>{4, 1}}) {
    options.genes = genes;
    const std::int64_t n_genes = genes.empty() ? toy_genes : 2;
    at::Tensor expected_pearson = at::zeros({n_genes, n_genes}, at::kDouble);
    at::Tensor expected_spearman = expected_pearson.clone();
    for (const std::int64_t batch : {0, 1}) {
      options.transform_batch = batch;
      RandomStream random(5);
      std::vector<at::Tensor> blocks;
      denoised_samples(posterior, options, 1000, {}, random, [&](const BlockPlace&, const at::Tensor& block) {
        blocks.push_back(block.flatten(0, 1));
      });
      const at::Tensor rows = at::cat(blocks).t().contiguous();
      expected_pearson += correlation_by_hand(rows) / 2;
      expected_spearman += correlation_by_hand(ranks_by_hand(rows)) / 2;
    }
    at::Tensor total = at::full({n_genes, n_genes}, 9.0, at::kDouble);
    denoised_correlation(posterior, options, {0, 1}, 1000, CorrelationKind::pearson, {}, 5, total);
    CHECK(max_difference(total, expected_pearson) < 1e-6);
    denoised_correlation(posterior, options, {0, 1}, 1000, CorrelationKind::spearman, {}, 5, total);
    CHECK(max_difference(total, expected_spearman) < 1e-6);
  }
}
