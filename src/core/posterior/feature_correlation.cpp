#include "core/posterior/feature_correlation.h"

#include <ATen/ATen.h>

#include "core/posterior/row_correlation.h"
#include "core/posterior/transpose.h"

namespace rscvi {
namespace {

// Samples gene by gene, (G, n * S).
at::Tensor samples_by_gene(const Posterior& posterior, const GenerationOptions& options, double size_factor,
                           const Noise& noise, std::uint64_t seed) {
  RandomStream random(seed);
  const std::int64_t n_genes = options.genes.empty() ? posterior.dataset->n_genes()
                                                     : static_cast<std::int64_t>(options.genes.size());
  at::Tensor rows = at::empty({n_genes, posterior.n_cells() * options.n_samples}, at::kFloat);
  std::int64_t filled = 0;
  denoised_samples(posterior, options, size_factor, noise, random, [&](const BlockPlace&, const at::Tensor& block) {
    const std::int64_t n = block.size(0) * block.size(1);
    const at::Tensor drawn = block.to(at::kCPU, at::kFloat).contiguous();
    transpose_into(drawn.data_ptr<float>(), n, n_genes, rows.data_ptr<float>() + filled, rows.size(1));
    filled += n;
  });
  return rows;
}

}  // namespace

void denoised_correlation(const Posterior& posterior, const GenerationOptions& options,
                          const std::vector<std::int64_t>& batches, double size_factor, CorrelationKind kind,
                          const Noise& noise, std::uint64_t seed, at::Tensor& total) {
  std::vector<std::optional<std::int64_t>> decoded_as(batches.begin(), batches.end());
  if (decoded_as.empty()) decoded_as.push_back(std::nullopt);
  total.zero_();
  GenerationOptions of_batch = options;
  for (const auto& batch : decoded_as) {
    of_batch.transform_batch = batch;
    at::Tensor rows = samples_by_gene(posterior, of_batch, size_factor, noise, seed);
    if (kind == CorrelationKind::spearman) rank_rows(rows);
    add_row_correlations(rows, 1.0 / static_cast<double>(decoded_as.size()), total);
  }
}

}  // namespace rscvi
