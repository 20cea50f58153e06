#include "core/nn/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "core/base/matrix_product.h"
#include "core/nn/bfloat16_linear.h"
#include "core/nn/sparse_product.h"

namespace rscvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t rows_per_task = 8, genes_per_task = 128;

struct SavedCells : torch::CustomClassHolder {
  explicit SavedCells(CellMatrix cells) : x(std::move(cells)) {}
  CellMatrix x;
};

at::Tensor multiply_rows(const CellMatrix& x, const at::Tensor& weight, const at::Tensor& bias) {
  const std::int64_t n_out = weight.size(0);
  const at::Tensor by_gene = weight.t().contiguous(), start = bias.contiguous();
  at::Tensor out = at::empty({x.n_cells(), n_out}, weight.options());
  at::parallel_for(0, x.n_cells(), rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    rscvi::multiply_rows(x.rows(), by_gene.data_ptr<float>(), start.data_ptr<float>(), n_out, begin, end,
                         out.data_ptr<float>());
  });
  return out;
}

at::Tensor multiply_columns(const CellMatrix& x, const at::Tensor& d) {
  const std::int64_t n_out = d.size(1);
  const CscBlock& columns = x.columns();
  at::Tensor out = at::empty({x.n_genes(), n_out}, d.options());
  at::parallel_for(0, x.n_genes(), genes_per_task, [&](std::int64_t begin, std::int64_t end) {
    rscvi::multiply_columns(columns, d.data_ptr<float>(), n_out, begin, end, out.data_ptr<float>());
  });
  return out;
}

at::Tensor multiply_dense(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {}) {
  if (!bias.defined()) return matrix_product(x, weight.t());
  at::Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
  out.copy_(bias.expand_as(out));
  add_matrix_product(x, weight.t(), out);
  return out;
}

// Bias: at::Tensor, or nothing where there is none (a Function takes no undefined tensors).
//
// The gradient of a weight is laid out as the weight is: autograd takes it without a copy.
template <class... Bias>
struct DenseLinear : torch::autograd::Function<DenseLinear<Bias...>> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const Bias&... bias) {
    context->save_for_backward({x, weight});
    context->saved_data["needs_d_x"] = x.requires_grad();
    context->saved_data["needs_d_weight"] = weight.requires_grad();  // not where it is frozen
    return multiply_dense(x, weight, bias...);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], d = gradients[0].contiguous();
    const bool by_input = weight.stride(0) == 1 && weight.stride(1) != 1;
    variable_list out(2);
    if (context->saved_data["needs_d_x"].toBool()) out[0] = matrix_product(d, weight);
    if (context->saved_data["needs_d_weight"].toBool()) {
      out[1] = by_input ? matrix_product(x.t(), d).t() : matrix_product(d.t(), x);
    }
    if (sizeof...(Bias) > 0) out.push_back(d.sum(0));
    return out;
  }
};

struct CellLinear : torch::autograd::Function<CellLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight, const at::Tensor& bias,
                            const CellMatrix& x) {
    context->saved_data["x"] = c10::IValue::make_capsule(c10::make_intrusive<SavedCells>(x));
    return x.prefers_rows() ? multiply_rows(x, weight, bias) : multiply_dense(x.dense(), weight, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->saved_data["x"].toCapsule();
    const CellMatrix& x = static_cast<const SavedCells&>(*saved).x;
    const at::Tensor d = gradients[0].contiguous();
    const at::Tensor by_gene = x.prefers_rows() ? multiply_columns(x, d) : matrix_product(x.dense().t(), d);
    return {by_gene.t(), d.sum(0), at::Tensor()};
  }
};

}  // namespace

LinearImpl::LinearImpl(std::int64_t n_in, std::int64_t n_out, RandomStream& random, bool with_bias,
                       WeightLayout layout) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(n_in));
  at::Tensor start = random.uniform({n_out, n_in}, bound);
  if (layout == WeightLayout::by_input) start = start.t().contiguous().t();
  weight = register_parameter("weight", start);
  if (with_bias) bias = register_parameter("bias", random.uniform({n_out}, bound));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return apply_linear(x, weight, bias); }

at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (uses_bfloat16(x, weight)) {
    const at::Tensor product = bfloat16_linear(x, weight);
    return bias.defined() ? product + bias : product;
  }
  const bool is_single = x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat;
  if (!has_onednn_products() || !is_single || x.dim() != 2 || !x.device().is_cpu()) return at::linear(x, weight, bias);
  if (!at::GradMode::is_enabled()) return multiply_dense(x, weight, bias);
  return bias.defined() ? DenseLinear<at::Tensor>::apply(x, weight, bias) : DenseLinear<>::apply(x, weight);
}

at::Tensor apply_linear(const CellMatrix& x, const at::Tensor& weight, const at::Tensor& bias) {
  const bool on_cpu = x.device().is_cpu() && weight.scalar_type() == at::kFloat;
  return on_cpu ? CellLinear::apply(weight, bias, x) : at::linear(x.dense(), weight, bias);
}

}  // namespace rscvi
