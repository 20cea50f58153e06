#include "core/distributions/normal.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace rscvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const float* data(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

// Whether the loops here may do it: what is not differentiated by must need no gradient.
bool one_pass_fits(std::initializer_list<at::Tensor> tensors, std::initializer_list<at::Tensor> constants = {}) {
  const at::Tensor& first = *tensors.begin();
  const auto fits = [&](const at::Tensor& tensor) { return is_plain(tensor) && tensor.sizes() == first.sizes(); };
  return first.dim() > 0 && std::all_of(tensors.begin(), tensors.end(), fits) &&
         std::all_of(constants.begin(), constants.end(),
                     [&](const at::Tensor& tensor) { return fits(tensor) && !tensor.requires_grad(); });
}

struct VarianceAbove : torch::autograd::Function<VarianceAbove> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& log_variance, double floor) {
    at::Tensor variance = at::empty_like(log_variance);
    const float* from = data(log_variance);
    float* to = variance.data_ptr<float>();
    for (std::int64_t k = 0; k < variance.numel(); ++k) to[k] = std::exp(from[k]) + static_cast<float>(floor);
    context->save_for_backward({log_variance});
    return variance;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor log_variance = context->get_saved_variables()[0], d = gradients[0].contiguous();
    at::Tensor out = at::empty_like(d);
    const float *from = data(d), *log_v = data(log_variance);
    float* to = out.data_ptr<float>();
    for (std::int64_t k = 0; k < out.numel(); ++k) to[k] = from[k] * std::exp(log_v[k]);
    return {out, at::Tensor()};
  }
};

struct FromNoise : torch::autograd::Function<FromNoise> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& mean, const at::Tensor& variance,
                            const at::Tensor& noise) {
    at::Tensor draw = at::empty_like(mean);
    const float *m = data(mean), *v = data(variance), *e = data(noise);
    float* to = draw.data_ptr<float>();
    for (std::int64_t k = 0; k < draw.numel(); ++k) to[k] = m[k] + std::sqrt(v[k]) * e[k];
    context->save_for_backward({variance, noise});
    return draw;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor d = gradients[0].contiguous();
    at::Tensor d_variance = at::empty_like(d);
    const float *v = data(saved[0]), *e = data(saved[1]), *from = data(d);
    float* to = d_variance.data_ptr<float>();
    for (std::int64_t k = 0; k < d.numel(); ++k) to[k] = from[k] * e[k] / (2 * std::sqrt(v[k]));
    return {d, d_variance, at::Tensor()};
  }
};

// Of mean 0 and variance 1 if its tensors are empty.
class Prior {
 public:
  Prior(const at::Tensor& mean, const at::Tensor& variance)
      : mean_(mean.numel() > 0 ? data(mean) : nullptr), variance_(mean_ != nullptr ? data(variance) : nullptr) {}
  float mean(std::int64_t k) const { return mean_ != nullptr ? mean_[k] : 0; }
  float variance(std::int64_t k) const { return variance_ != nullptr ? variance_[k] : 1; }

 private:
  const float *mean_, *variance_;
};

struct KlBetween : torch::autograd::Function<KlBetween> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& m, const at::Tensor& v,
                            const at::Tensor& prior_m, const at::Tensor& prior_v) {
    at::Tensor kl = at::empty(m.sizes().slice(0, m.dim() - 1), m.options());
    const std::int64_t n_columns = m.size(-1), n_rows = kl.numel();
    const Prior prior = {prior_m, prior_v};
    const float *mean = data(m), *variance = data(v);
    float* to = kl.data_ptr<float>();
    for (std::int64_t r = 0, k = 0; r < n_rows; ++r) {
      float sum = 0;
      for (const std::int64_t end = k + n_columns; k < end; ++k) {
        const float d = mean[k] - prior.mean(k), inverse = 1 / prior.variance(k), ratio = variance[k] * inverse;
        sum += ratio + d * d * inverse - 1 - std::log(ratio);
      }
      to[r] = sum / 2;
    }
    context->save_for_backward({m, v, prior_m, prior_v});
    return kl;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &m = saved[0], &v = saved[1], &prior_m = saved[2], &prior_v = saved[3];
    const at::Tensor d = gradients[0].contiguous();
    at::Tensor d_m = at::empty_like(m), d_v = at::empty_like(v);
    const std::int64_t n_columns = m.size(-1);
    const Prior prior = {prior_m, prior_v};
    const float *mean = data(m), *variance = data(v), *by = data(d);
    float *to_mean = d_m.data_ptr<float>(), *to_variance = d_v.data_ptr<float>();
    for (std::int64_t r = 0, k = 0; r < d.numel(); ++r) {
      for (const std::int64_t end = k + n_columns; k < end; ++k) {
        const float inverse = 1 / prior.variance(k);
        to_mean[k] = by[r] * (mean[k] - prior.mean(k)) * inverse;
        to_variance[k] = by[r] * (inverse - 1 / variance[k]) / 2;
      }
    }
    return {d_m, d_v, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor variance_above(const at::Tensor& log_variance, double floor) {
  return one_pass_fits({log_variance}) ? VarianceAbove::apply(log_variance, floor) : at::exp(log_variance) + floor;
}

at::Tensor from_noise(const at::Tensor& mean, const at::Tensor& variance, const at::Tensor& noise) {
  return one_pass_fits({mean, variance}, {noise}) ? FromNoise::apply(mean, variance, noise)
                                                  : mean + at::sqrt(variance) * noise;
}

at::Tensor kl_to_standard_normal(const at::Tensor& m, const at::Tensor& v) {
  if (!one_pass_fits({m, v})) return (v + m * m - 1 - at::log(v)).sum(-1) * 0.5;
  const at::Tensor none = at::empty({0}, m.options());
  return KlBetween::apply(m, v, none, none);
}

at::Tensor kl_between_normals(const at::Tensor& m, const at::Tensor& v, const at::Tensor& prior_m,
                              const at::Tensor& prior_v) {
  if (one_pass_fits({m, v}, {prior_m, prior_v})) return KlBetween::apply(m, v, prior_m, prior_v);
  return (at::log(prior_v / v) + (v + (m - prior_m).square()) / prior_v - 1).sum(-1) * 0.5;
}

at::Tensor log_normal(const at::Tensor& x, const at::Tensor& m, const at::Tensor& v) {
  constexpr double log_two_pi = 1.8378770664093454836;
  return ((x - m).square() / v + at::log(v) + log_two_pi).sum(-1) * -0.5;
}

}  // namespace rscvi
