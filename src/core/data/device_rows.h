// Compressed rows in tensors, where a GPU can make dense minibatches of them without the host having to wait.
// By LibTorch's own operators, so that the CPU tests cover them; untested on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/data/cell_source.h"

namespace rscvi {

// Row r has entries indptr[r] .. indptr[r + 1] - 1, each gene once. All on one device.
struct DeviceRows {
  at::Tensor indptr;  // (rows + 1) int64
  at::Tensor gene;    // (entries) int32
  at::Tensor value;   // (entries) float32
  std::int64_t n_genes = 0;
};

// Sends a block to `device`; compressed, as it is a small part of the dense rows.
DeviceRows send_rows(const CsrBlock& block, std::int64_t n_genes, c10::Device device);

// Some rows, (B, G). which: (B) int64, on the rows' device. n_entries: how many those rows have, which the host must
// know by itself: asking the device for it would mean to wait for all that it still has to do.
at::Tensor dense_rows(const DeviceRows& rows, const at::Tensor& which, std::int64_t n_entries);

}  // namespace rscvi
