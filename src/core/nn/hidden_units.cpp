#include "core/nn/hidden_units.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/base/instruction_set.h"

namespace rscvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Fewer entries are not worth waking a second thread. Tasks begin at a multiple of the widest vector's floats.
constexpr std::int64_t entries_per_task = 32768, units_at_once = 16;

// x and y (B, F), the others (F).
struct HiddenUnits {
  std::int64_t n_cells, n_units;
  const float *x, *mean, *inverse_sd, *weight;
  const float* y;  // null where it is yet to be made
};

// Of y, given, and what becomes of them. An entry that passed was multiplied by `factor`; `through_moments`: mean and
// variance are those of x.
struct UnitGradients {
  const float* y;
  float factor;
  bool through_moments;
  float *x, *weight, *bias;
};

#define RSCVI_KERNELS "core/nn/hidden_units.inl"
#include "core/base/for_each_target.inl"

// visit(first, end) for some units at a time.
template <class Visit>
void for_each_units(const at::Tensor& x, const Visit& visit) {
  const std::int64_t n_units = x.size(1), n_parts = (n_units + units_at_once - 1) / units_at_once;
  const std::int64_t entries_a_part = std::max<std::int64_t>(1, x.size(0) * units_at_once);
  at::parallel_for(0, n_parts, std::max<std::int64_t>(1, entries_per_task / entries_a_part),
                   [&](std::int64_t begin, std::int64_t end) {
                     visit(begin * units_at_once, std::min(n_units, end * units_at_once));
                   });
}

const float* data(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }
float* writable(at::Tensor& tensor) { return tensor.data_ptr<float>(); }

at::Tensor batch_mean_and_variance(const at::Tensor& x) {
  at::Tensor both = at::empty({2, x.size(1)}, x.options());
  const auto kernel = RSCVI_CHOOSE_KERNEL(unit_moments);
  for_each_units(x, [&](std::int64_t first, std::int64_t end) {
    kernel(x.size(0), x.size(1), first, end, data(x), writable(both), writable(both) + x.size(1));
  });
  return both;
}

void move_towards(at::Tensor& running, const at::Tensor& values, double by, double factor) {
  float* to = writable(running);
  const float* from = data(values);
  for (std::int64_t k = 0; k < values.numel(); ++k) {
    to[k] = static_cast<float>((1 - by) * to[k] + by * factor * static_cast<double>(from[k]));
  }
  running.unsafeGetTensorImpl()->bump_version();  // as LibTorch's own operators do: whoever saved it is to know
}

at::Tensor inverse_sd_of(const at::Tensor& variance, double eps) {
  at::Tensor out = at::empty_like(variance);
  const float* from = data(variance);
  float* to = writable(out);
  for (std::int64_t k = 0; k < out.numel(); ++k) {
    to[k] = static_cast<float>(1 / std::sqrt(static_cast<double>(from[k]) + eps));
  }
  return out;
}

struct FusedUnits : torch::autograd::Function<FusedUnits> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const BatchNormalisation& norm, bool is_training,
                            double dropout_rate, RandomStream& random) {
    const at::Tensor x = input.contiguous();
    at::Tensor mean = norm.running_mean, variance = norm.running_var;
    if (is_training) {
      const auto n_cells = static_cast<double>(x.size(0));
      const at::Tensor both = batch_mean_and_variance(x);
      move_towards(mean, both.select(0, 0), norm.momentum, 1);
      move_towards(variance, both.select(0, 1), norm.momentum, n_cells / (n_cells - 1));
      mean = both.select(0, 0);
      variance = both.select(0, 1);
    }
    const at::Tensor inverse_sd = inverse_sd_of(variance, norm.eps);
    const bool drops = is_training && dropout_rate > 0;
    const at::Tensor mask = drops ? random.dropout_mask(x, dropout_rate) : at::Tensor();
    at::Tensor y = at::empty_like(x);
    const HiddenUnits units = {x.size(0), x.size(1), data(x), data(mean), data(inverse_sd), data(weight), nullptr};
    const auto kernel = RSCVI_CHOOSE_KERNEL(forward_units);
    for_each_units(x, [&](std::int64_t first, std::int64_t end) {
      kernel(units, first, end, data(bias), drops ? data(mask) : nullptr, writable(y));
    });
    context->save_for_backward({x, mean, inverse_sd, weight, y});
    context->saved_data["factor"] = drops ? 1 / (1 - dropout_rate) : 1.0;
    context->saved_data["is_training"] = is_training;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &mean = saved[1], &inverse_sd = saved[2], &weight = saved[3], &y = saved[4];
    const at::Tensor d_y = gradients[0].contiguous();
    at::Tensor d_x = at::empty_like(x), d_weight = at::empty_like(weight), d_bias = at::empty_like(weight);
    const HiddenUnits units = {x.size(0), x.size(1), data(x), data(mean), data(inverse_sd), data(weight), data(y)};
    const UnitGradients d = {data(d_y), static_cast<float>(context->saved_data["factor"].toDouble()),
                             context->saved_data["is_training"].toBool(), writable(d_x), writable(d_weight),
                             writable(d_bias)};
    const auto kernel = RSCVI_CHOOSE_KERNEL(backward_units);
    for_each_units(x, [&](std::int64_t first, std::int64_t end) { kernel(units, first, end, d); });
    const at::Tensor none;
    return {d_x, d_weight, d_bias, none, none, none, none};
  }
};

}  // namespace

at::Tensor hidden_units(const at::Tensor& x, const BatchNormalisation& norm, bool is_training, double dropout_rate,
                        RandomStream& random) {
  if (!x.device().is_cpu() || x.scalar_type() != at::kFloat || norm.weight.scalar_type() != at::kFloat) {
    return hidden_units_by_operators(x, norm, is_training, dropout_rate, random);
  }
  return FusedUnits::apply(x, norm.weight, norm.bias, norm, is_training, dropout_rate, random);
}

at::Tensor hidden_units_by_operators(const at::Tensor& x, const BatchNormalisation& norm, bool is_training,
                                     double dropout_rate, RandomStream& random) {
  const at::Tensor u = at::batch_norm(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, is_training,
                                      norm.momentum, norm.eps, /*cudnn_enabled=*/true);
  const at::Tensor on = at::relu(u);
  return is_training && dropout_rate > 0 ? on * random.dropout_mask(on, dropout_rate) : on;
}

}  // namespace rscvi
