#include "core/nn/bfloat16_linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/base/precision.h"

namespace rscvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Multiplications of a product below which rounding is not worth it.
constexpr std::int64_t least_multiplications = std::int64_t{1} << 22;

struct Bfloat16Linear : torch::autograd::Function<Bfloat16Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight) {
    const at::Tensor rounded_x = x.to(at::kBFloat16), rounded_weight = weight.to(at::kBFloat16);
    context->save_for_backward({rounded_x, rounded_weight});
    context->saved_data["needs_d_x"] = x.requires_grad();
    context->saved_data["needs_d_weight"] = weight.requires_grad();  // not where it is frozen
    return at::mm(rounded_x, rounded_weight.t()).to(at::kFloat);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], d = gradients[0].to(at::kBFloat16);
    const bool by_input = weight.stride(0) == 1 && weight.stride(1) != 1;
    variable_list out(2);
    if (context->saved_data["needs_d_x"].toBool()) out[0] = at::mm(d, weight).to(at::kFloat);
    if (context->saved_data["needs_d_weight"].toBool()) {
      out[1] = (by_input ? at::mm(x.t(), d).t() : at::mm(d.t(), x)).to(at::kFloat);
    }
    return out;
  }
};

}  // namespace

bool uses_bfloat16(const at::Tensor& x, const at::Tensor& weight) {
  if (precision() != Precision::bfloat16 || !at::GradMode::is_enabled()) return false;
  if (x.dim() != 2 || x.scalar_type() != at::kFloat || weight.scalar_type() != at::kFloat) return false;
  if (x.numel() * weight.size(0) < least_multiplications) return false;
  return x.device().is_cpu() && has_bfloat16_products();
}

at::Tensor bfloat16_linear(const at::Tensor& x, const at::Tensor& weight) { return Bfloat16Linear::apply(x, weight); }

}  // namespace rscvi
