#include "core/training/optimiser.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "core/training/adam_kernel.h"

namespace rscvi {
namespace {

constexpr double beta1 = 0.9, beta2 = 0.999;
constexpr std::int64_t numbers_per_task = 65536;

bool one_pass_fits(const at::Tensor& parameter, const at::Tensor& gradient) {
  return parameter.device().is_cpu() && parameter.scalar_type() == at::kFloat && gradient.scalar_type() == at::kFloat &&
         parameter.is_non_overlapping_and_dense() && parameter.strides() == gradient.strides();
}

}  // namespace

Optimiser::Optimiser(std::vector<at::Tensor> parameters, const OptimiserOptions& options,
                     const std::vector<OwnRate>& own_rates)
    : parameters_(std::move(parameters)),
      options_(parameters_.size(), options),
      has_own_rate_(parameters_.size(), false),
      moments_(parameters_.size()),
      first_lr_(options.lr),
      lr_(options.lr) {
  const bool by_operators =
      options.by_operators || (!parameters_.empty() && !parameters_.front().device().is_cpu());
  std::vector<at::Tensor> others;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const auto own = std::find_if(own_rates.begin(), own_rates.end(),
                                  [&](const OwnRate& rate) { return rate.parameter.is_same(parameters_[k]); });
    if (own == own_rates.end()) {
      others.push_back(parameters_[k]);
      continue;
    }
    options_[k].lr = own->lr;
    options_[k].eps = own->eps;
    has_own_rate_[k] = true;
    if (by_operators) by_operators_.push_back({DeviceAdam({parameters_[k]}, options_[k]), own->lr, true});
  }
  if (by_operators && !others.empty()) by_operators_.push_back({DeviceAdam(others, options), options.lr, false});
  // Gradients that somebody else left behind must not count as reached.
  for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = at::Tensor();
}

void Optimiser::set_lr(double lr) {
  lr_ = lr;
  for (ByOperators& part : by_operators_) part.adam.set_lr(part.lr * (lr_ / first_lr_));
}

void Optimiser::step(const at::Tensor& loss, const at::Tensor& is_sound) {
  loss.backward();
  const at::NoGradGuard no_grad;
  if (!by_operators_.empty()) {
    const at::Tensor sound = is_sound.defined() ? is_sound : at::ones({}, loss.options().dtype(at::kBool));
    for (ByOperators& part : by_operators_) {
      if (!(part.is_own_rate && own_rates_rest_)) part.adam.step(sound);
    }
    for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = at::Tensor();
    return;
  }
  const bool counts = !is_sound.defined() || is_sound.item<bool>();
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    at::Tensor& gradient = parameters_[k].mutable_grad();
    if (!gradient.defined()) continue;
    const bool rests = has_own_rate_[k] && own_rates_rest_;
    if (counts && !rests) update(parameters_[k], gradient, options_[k], moments_[k]);
    gradient = at::Tensor();  // the next backward pass hands its own over, without adding
  }
}

void Optimiser::update(at::Tensor& parameter, const at::Tensor& gradient, const OptimiserOptions& options,
                       Moments& moments) const {
  if (!moments.mean.defined()) {
    moments.mean = at::zeros_like(parameter);
    moments.mean_square = at::zeros_like(parameter);
  }
  const auto t = static_cast<double>(++moments.n_steps);
  const double step_size = options.lr * (lr_ / first_lr_) / (1 - std::pow(beta1, t));
  const double root_correction = std::sqrt(1 - std::pow(beta2, t));
  if (one_pass_fits(parameter, gradient)) {
    const AdamStep step = {static_cast<float>(beta1),        static_cast<float>(beta2),
                           static_cast<float>(options.eps),  static_cast<float>(options.weight_decay),
                           static_cast<float>(step_size),    static_cast<float>(1 / root_correction)};
    const float* g = gradient.data_ptr<float>();
    float *p = parameter.data_ptr<float>(), *m = moments.mean.data_ptr<float>(),
          *v = moments.mean_square.data_ptr<float>();
    at::parallel_for(0, parameter.numel(), numbers_per_task, [&](std::int64_t begin, std::int64_t end) {
      adam_step(step, end - begin, g + begin, p + begin, m + begin, v + begin);
    });
    return;
  }
  const at::Tensor g = gradient.add(parameter, options.weight_decay);
  moments.mean.mul_(beta1).add_(g, 1 - beta1);
  moments.mean_square.mul_(beta2).addcmul_(g, g, 1 - beta2);
  parameter.addcdiv_(moments.mean, moments.mean_square.sqrt().div_(root_correction).add_(options.eps), -step_size);
}

}  // namespace rscvi
