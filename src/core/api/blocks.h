// For the .cpp files of this folder alone: blocks of draws into R's arrays, which are column-major.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "core/posterior/draw_blocks.h"

namespace rscvi::api {

// Where a result lies: element (sample 0, cell 0) of each gene, and how far it is from there to the next sample and
// cell.
template <class T>
struct ResultArray {
  std::vector<T*> genes;
  std::int64_t sample_stride = 0, cell_stride = 0;

  // samples x cells for each gene; with one sample, cells.
  static ResultArray samples_first(std::vector<T*> genes, std::int64_t n_samples) {
    return {std::move(genes), 1, n_samples};
  }
  // cells x genes x samples
  static ResultArray samples_last(T* data, std::int64_t n_cells, std::int64_t n_genes) {
    return {columns(data, n_cells, n_genes), n_cells * n_genes, 1};
  }

  void write(const BlockPlace& place, const at::Tensor& block) const {
    const at::Tensor values = block.to(at::kCPU, at::kFloat).contiguous();  // (samples, cells, genes)
    const std::int64_t n_samples = values.size(0), n_cells = values.size(1), n_genes = values.size(2);
    const float* from = values.data_ptr<float>();
    const std::int64_t start = place.sample * sample_stride + place.cell * cell_stride;
    // Gene by gene: what is written lies side by side, what is read is still in the cache.
    at::parallel_for(0, n_genes, /*grain_size=*/64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t gene = begin; gene < end; ++gene) {
        for (std::int64_t sample = 0; sample < n_samples; ++sample) {
          const float* column = from + sample * n_cells * n_genes + gene;
          T* to = genes[gene] + start + sample * sample_stride;
          for (std::int64_t cell = 0; cell < n_cells; ++cell) {
            to[cell * cell_stride] = static_cast<T>(column[cell * n_genes]);
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
