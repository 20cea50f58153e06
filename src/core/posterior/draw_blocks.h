// Draws of the latent variables of a posterior's cells, in blocks small enough to decode.
#pragma once

#include <functional>

#include "core/posterior/posterior.h"

namespace rscvi {

// Which cell and which draw a block's first element is, among all of a posterior's; counted from 0.
struct BlockPlace {
  std::int64_t cell = 0, sample = 0;
};

// Receives (samples, cells, genes), float32, on the model's device.
using BlockSink = std::function<void(const BlockPlace& place, const at::Tensor& block)>;

using DrawVisitor = std::function<void(const Minibatch& minibatch, const LatentDraw& draw, const BlockPlace& place)>;

// Calls visit(minibatch, draw, place) with draws of shape (s, B, .): minibatch by minibatch, and for each from sample 0
// to n_samples - 1, as many at a time as can be decoded within bounded memory. Without `want_library`, draw.library is
// undefined. noise: z (S, n, L) and library (S, n, 1) with S = n_samples.
void for_each_draw(const Posterior& posterior, std::int64_t n_samples, bool want_library, const Noise& noise,
                   RandomStream& random, const DrawVisitor& visit);

// `tensor` for some genes alone (0-based, on its device; undefined: all), the last axis. Undefined stays undefined.
at::Tensor pick_genes(const at::Tensor& tensor, const at::Tensor& genes);

// Genes as pick_genes() takes them; none stands for all.
at::Tensor genes_on(const std::vector<std::int64_t>& genes, c10::Device device);

// Hands on the mean over all draws of a minibatch in place of the draws: (1, B, genes).
class MeanOverDraws {
 public:
  MeanOverDraws(std::int64_t n_samples, BlockSink sink) : n_samples_(n_samples), sink_(std::move(sink)) {}
  void operator()(const BlockPlace& place, const at::Tensor& block);

 private:
  std::int64_t n_samples_;
  BlockSink sink_;
  at::Tensor sum_;
};

}  // namespace rscvi
