// For the .cpp files of this folder alone: blocks of draws into R's arrays, which are column-major.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/posterior/draw_blocks.h"

namespace rscvi::api {

// Where element (sample, cell, gene) of a result lies in `data`.
template <class T>
struct ResultArray {
  T* data = nullptr;
  std::int64_t sample_stride = 0, cell_stride = 0, gene_stride = 0;

  // samples x cells x genes; with one sample, cells x genes.
  static ResultArray samples_first(T* data, std::int64_t n_samples, std::int64_t n_cells) {
    return {data, 1, n_samples, n_samples * n_cells};
  }
  // cells x genes x samples
  static ResultArray samples_last(T* data, std::int64_t n_cells, std::int64_t n_genes) {
    return {data, n_cells * n_genes, 1, n_cells};
  }

  void write(const BlockPlace& place, const at::Tensor& block) const {
    const at::Tensor values = block.to(at::kCPU, at::kFloat).contiguous();  // (samples, cells, genes)
    const std::int64_t n_samples = values.size(0), n_cells = values.size(1), n_genes = values.size(2);
    const float* from = values.data_ptr<float>();
    T* start = data + place.sample * sample_stride + place.cell * cell_stride;
    // Strips of a cache line's width: what is read of a cell is used at once.
    constexpr std::int64_t strip = 16;
    at::parallel_for(0, (n_genes + strip - 1) / strip, /*grain_size=*/4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t sample = 0; sample < n_samples; ++sample) {
        for (std::int64_t s = begin; s < end; ++s) {
          const std::int64_t last = std::min((s + 1) * strip, n_genes);
          for (std::int64_t cell = 0; cell < n_cells; ++cell) {
            const float* row = from + (sample * n_cells + cell) * n_genes;
            T* to = start + sample * sample_stride + cell * cell_stride;
            for (std::int64_t gene = s * strip; gene < last; ++gene) to[gene * gene_stride] = static_cast<T>(row[gene]);
          }
        }
      }
    });
  }

  BlockSink sink() const {
    return [array = *this](const BlockPlace& place, const at::Tensor& block) { array.write(place, block); };
  }
};

}  // namespace rscvi::api
