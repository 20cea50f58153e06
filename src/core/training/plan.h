// What a step of training is made of: the loop of trainer.h asks a plan for the loss of some cells, and for metrics.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "core/base/random.h"
#include "core/data/device_cells.h"
#include "core/model/kl_weight.h"
#include "core/training/train_options.h"

namespace rscvi {

// NaN where not wanted, or where a plan has no such metric.
struct MetricValues {
  double elbo = std::numeric_limits<double>::quiet_NaN();
  double reconstruction_error = elbo;
  double accuracy = elbo;

  double at(Metric metric) const;
};

// A loss in two parts: the first has all that depends on the cells, the second asks for the same operators whatever the
// minibatch holds, and takes its chance from one stream. So it can be repeated without being called (repeated_steps.h).
struct LossInParts {
  std::function<Minibatch(const std::int64_t* cells, std::int64_t n_cells)> gather;
  std::function<at::Tensor(const Minibatch&, const KlWeight& kl_weight)> loss;
  RandomStream* random;
};

class Plan {
 public:
  virtual ~Plan() = default;

  // What is trained: the module whose parameters are moved, whose state is kept, and put back if training breaks down.
  virtual std::shared_ptr<torch::nn::Module> module() const = 0;

  // The loss of these cells (0-based), averaged over them: a scalar that records gradients. The trained part of the
  // module is in training mode.
  virtual at::Tensor loss(const std::int64_t* cells, std::int64_t n_cells, const KlWeight& kl_weight) = 0;

  // The same loss in parts, of plans where that can be; they live as long as the plan.
  virtual std::optional<LossInParts> loss_in_parts() { return std::nullopt; }

  // After the last minibatch of an epoch; may leave the module in either mode.
  virtual void end_epoch() {}

  // In evaluation mode, without gradients: metrics on some cells, and whether any of some cells has a finite loss.
  virtual MetricValues evaluate(const std::vector<std::int64_t>& cells, const std::vector<Metric>& wanted,
                                RandomStream& random) = 0;
  virtual bool is_sound(const std::int64_t* cells, std::int64_t n_cells, RandomStream& random) = 0;
};

// The cells that a plan works on, for a module on `device`.
struct PlanData {
  std::shared_ptr<const Dataset> dataset;
  CountsKind counts = CountsKind::observed;
  std::int64_t batch_size = 128;
  c10::Device device;
  std::shared_ptr<const DeviceCells> on_device;  // null where they do not fit, or need not be: on the CPU

  PlanData(std::shared_ptr<const Dataset> cells, const TrainOptions& options, c10::Device device);
  Minibatch gather(const std::int64_t* cells, std::int64_t n_cells) const;
};

}  // namespace rscvi
