// Losses of steps that nobody has looked at yet.
#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

namespace rscvi {

struct SeenLoss {
  double value = 0;
  std::int64_t n_cells = 0;
};

// To look at a loss on a GPU is to wait for it, and for all that was asked of the GPU before.
class DeferredLosses {
 public:
  // A scalar without a gradient, of a minibatch of n_cells.
  void add(at::Tensor loss, std::int64_t n_cells) {
    losses_.push_back(std::move(loss));
    n_cells_.push_back(n_cells);
  }

  // All since the last time, in their order; waits once.
  std::vector<SeenLoss> take() {
    std::vector<SeenLoss> out;
    if (losses_.empty()) return out;
    const at::Tensor values = at::stack(losses_).to(at::kCPU, at::kDouble);
    for (std::size_t k = 0; k < losses_.size(); ++k) out.push_back({values.data_ptr<double>()[k], n_cells_[k]});
    losses_.clear();
    n_cells_.clear();
    return out;
  }

 private:
  std::vector<at::Tensor> losses_;
  std::vector<std::int64_t> n_cells_;
};

}  // namespace rscvi
