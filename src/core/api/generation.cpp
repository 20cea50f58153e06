#include "core/api/generation.h"

#include "core/api/blocks.h"
#include "core/api/posterior_handle.h"
#include "core/posterior/expression.h"
#include "core/posterior/feature_correlation.h"
#include "core/posterior/generation.h"
#include "core/posterior/imputation.h"

namespace rscvi::api {
namespace {

GenerationOptions to_options(const DrawRequest& request) {
  GenerationOptions options;
  options.n_samples = request.n_samples;
  if (!request.transform_batch.empty()) options.transform_batch = request.transform_batch.front();
  options.genes = request.genes;
  return options;
}

std::int64_t n_genes(const Posterior& posterior, const DrawRequest& request) {
  return request.genes.empty() ? posterior.dataset->n_genes() : static_cast<std::int64_t>(request.genes.size());
}

template <class T>
BlockSink samples_last(T* out, const Posterior& posterior, const DrawRequest& request) {
  const auto n_cells = static_cast<std::int64_t>(posterior.cells.size());
  return ResultArray<T>::samples_last(out, n_cells, n_genes(posterior, request)).sink();
}

}  // namespace

void sample_rate(const Posterior& posterior, const DrawRequest& request, const NoiseArrays& noise, std::uint64_t seed,
                 double* out) {
  translate_errors([&] {
    RandomStream random(seed);
    const rscvi::Posterior core = to_core(posterior);
    const ExpressionOptions options = {request.n_samples, request.transform_batch, request.genes};
    const auto genes = columns(out, request.n_samples * core.n_cells(), n_genes(posterior, request));
    rscvi::sample_rate(core, options, to_noise(noise), random,
                       ResultArray<double>::samples_first(genes, request.n_samples).sink());
  });
}

void generate_counts(const Posterior& posterior, const DrawRequest& request, const NoiseArrays& noise,
                     std::uint64_t seed, int* out) {
  translate_errors([&] {
    RandomStream random(seed);
    rscvi::generate_counts(to_core(posterior), to_options(request), to_noise(noise), random,
                           samples_last(out, posterior, request));
  });
}

void denoised_samples(const Posterior& posterior, const DrawRequest& request, double size_factor,
                      const NoiseArrays& noise, std::uint64_t seed, double* out) {
  translate_errors([&] {
    RandomStream random(seed);
    rscvi::denoised_samples(to_core(posterior), to_options(request), size_factor, to_noise(noise), random,
                            samples_last(out, posterior, request));
  });
}

void denoised_correlation(const Posterior& posterior, const DrawRequest& request, double size_factor,
                          const std::string& kind, const NoiseArrays& noise, std::uint64_t seed, double* out) {
  translate_errors([&] {
    if (kind != "spearman" && kind != "pearson") {
      throw InvalidArgument("correlation_type must be \"spearman\" or \"pearson\", not \"" + kind + "\"");
    }
    const std::int64_t size = n_genes(posterior, request);
    at::Tensor total = at::from_blob(out, {size, size}, at::kDouble);
    rscvi::denoised_correlation(to_core(posterior), to_options(request), request.transform_batch, size_factor,
                                kind == "spearman" ? CorrelationKind::spearman : CorrelationKind::pearson,
                                to_noise(noise), seed, total);
  });
}

void count_parameters(const Posterior& posterior, std::int64_t n_samples, bool mean, const NoiseArrays& noise,
                      std::uint64_t seed, const ParameterArrays& out) {
  translate_errors([&] {
    RandomStream random(seed);
    const rscvi::Posterior core = to_core(posterior);
    const bool dispersion_by_draw = core.model->options().dispersion == Dispersion::gene_cell;
    const auto sink = [&](double* data, bool by_draw) {
      if (data == nullptr) return BlockSink();
      const std::int64_t n_kept = by_draw && !mean ? n_samples : 1;
      const auto genes = columns(data, n_kept * core.n_cells(), core.dataset->n_genes());
      return ResultArray<double>::samples_first(genes, n_kept).sink();
    };
    rscvi::count_parameters(core, n_samples, mean, to_noise(noise), random,
                            {sink(out.dropout, true), sink(out.mean, true), sink(out.dispersion, dispersion_by_draw)});
  });
}

ImputedEntries imputed_entries(const Posterior& posterior, std::int64_t n_samples, const NoiseArrays& noise,
                               std::uint64_t seed) {
  return translate_errors([&] {
    RandomStream random(seed);
    return rscvi::imputed_entries(to_core(posterior), n_samples, to_noise(noise), random);
  });
}

}  // namespace rscvi::api
