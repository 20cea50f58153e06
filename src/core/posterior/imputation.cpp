#include "core/posterior/imputation.h"

#include <ATen/ATen.h>

#include "core/posterior/draw_blocks.h"

namespace rscvi {
namespace {

// The corrupted entries of one minibatch.
struct CorruptedEntries {
  at::Tensor row, gene;         // (K), row by row and in the order of genes
  at::Tensor original, imputed;  // (K) on the CPU; (S, K)
};

CorruptedEntries find_corrupted(const at::Tensor& observed, const at::Tensor& corrupted, std::int64_t n_samples) {
  const at::Tensor places = at::nonzero(observed != corrupted);
  CorruptedEntries entries;
  entries.row = places.select(1, 0).contiguous();
  entries.gene = places.select(1, 1).contiguous();
  entries.original = observed.index({entries.row, entries.gene}).cpu();
  entries.imputed = at::empty({n_samples, entries.row.size(0)}, at::kFloat);
  return entries;
}

void append(const CorruptedEntries& entries, std::int64_t first_cell, ImputedEntries& out) {
  const at::Tensor row = entries.row.cpu(), gene = entries.gene.cpu();
  const std::int64_t n = row.size(0), n_samples = entries.imputed.size(0);
  const auto* rows = row.data_ptr<std::int64_t>();
  const auto* genes = gene.data_ptr<std::int64_t>();
  for (std::int64_t begin = 0, end = 0; begin < n; begin = end) {
    while (end < n && rows[end] == rows[begin]) ++end;
    for (std::int64_t sample = 0; sample < n_samples; ++sample) {
      for (std::int64_t k = begin; k < end; ++k) {
        out.cell.push_back(static_cast<std::int32_t>(first_cell + rows[k]));
        out.gene.push_back(static_cast<std::int32_t>(genes[k]));
        out.sample.push_back(static_cast<std::int32_t>(sample));
        out.original.push_back(entries.original.data_ptr<float>()[k]);
        out.imputed.push_back(entries.imputed.data_ptr<float>()[sample * n + k]);
      }
    }
  }
}

}  // namespace

ImputedEntries imputed_entries(const Posterior& posterior, std::int64_t n_samples, const Noise& noise,
                               RandomStream& random) {
  Vae model = posterior.model;
  Posterior corrupted = posterior;
  corrupted.counts = CountsKind::corrupted;
  ImputedEntries out;
  CorruptedEntries entries;
  const auto visit = [&](const Minibatch& minibatch, const LatentDraw& draw, const BlockPlace& place) {
    if (place.sample == 0) {
      const Minibatch observed = gather_minibatch(*posterior.dataset, posterior.cells.data() + place.cell,
                                                  minibatch.size(), CountsKind::observed, model->device());
      entries = find_corrupted(observed.x.dense(), minibatch.x.dense(), n_samples);
    }
    if (entries.row.size(0) == 0) return;
    const at::Tensor rate = model->decode(draw, minibatch, /*want_dropout=*/false, random)
                                .px_rate;
    const std::int64_t n = rate.size(0);
    for (std::int64_t s = 0; s < n; ++s) {
      entries.imputed[place.sample + s].copy_(rate[s].index({entries.row, entries.gene}));
    }
    if (place.sample + n == n_samples) append(entries, place.cell, out);
  };
  for_each_draw(corrupted, n_samples, /*want_library=*/true, noise, random, visit);
  return out;
}

}  // namespace rscvi
