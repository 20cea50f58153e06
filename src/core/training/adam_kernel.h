// One step of Adam on one tensor, in one pass over its memory.
#pragma once

#include <cstdint>

namespace rscvi {

// Kingma & Ba 2015, algorithm 1, with an L2 penalty that is added to the gradient (as torch.optim.Adam's weight_decay).
struct AdamStep {
  float beta1 = 0.9F, beta2 = 0.999F;
  float eps = 0, weight_decay = 0;
  float step_size = 0;               // lr / (1 - beta1^t)
  float inverse_root_correction = 0;  // 1 / sqrt(1 - beta2^t)
};

// n numbers each; gradient is only read.
void adam_step(const AdamStep& step, std::int64_t n, const float* gradient, float* parameter, float* mean,
               float* mean_square);

}  // namespace rscvi
