#include "core/distributions/fused_likelihood.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "core/base/errors.h"
#include "core/distributions/count_rows.h"

namespace rscvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A pass over few entries is not worth waking a second thread.
constexpr std::int64_t entries_per_task = 16384, genes_per_task = 512;

CountFamily family_of(CountDistribution distribution) {
  switch (distribution) {
    case CountDistribution::zinb: return CountFamily::zinb;
    case CountDistribution::nb: return CountFamily::nb;
    default: return CountFamily::poisson;
  }
}

// Of the log-likelihood of each draw, in its own parameters; undefined where not wanted, or where a family has none.
struct Derivatives {
  at::Tensor scale, log_theta, dropout;  // (N, G)
  at::Tensor log_library;                // (N, 1)
};

struct SavedDerivatives : torch::CustomClassHolder {
  Derivatives derivatives;
  bool theta_is_shared = false;
};

Derivatives make_room(CountFamily family, const at::Tensor& scale) {
  Derivatives out;
  out.scale = at::empty_like(scale);
  if (family != CountFamily::poisson) out.log_theta = at::empty_like(scale);
  if (family == CountFamily::zinb) out.dropout = at::empty_like(scale);
  out.log_library = at::empty({scale.size(0), 1}, scale.options());
  return out;
}

template <class T>
T* row_of(const at::Tensor& tensor, std::int64_t row) {
  if (!tensor.defined() || tensor.numel() == 0) return nullptr;
  return tensor.data_ptr<T>() + row % tensor.size(0) * tensor.size(1);
}

// The parameters as one stretch of memory each.
CountLogits contiguous(const CountLogits& logits) {
  const auto each = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.contiguous() : tensor; };
  return {each(logits.scale),   each(logits.log_library), each(logits.log_theta),
          each(logits.dropout), each(logits.scale_bias),  each(logits.dropout_bias)};
}

template <class T>
void evaluate_rows(CountFamily family, const CellMatrix& x, const CountLogits& logits, Derivatives& out,
                   const at::Tensor& total) {
  const CsrBlock& counts = x.rows();
  const CountRowKernels<T> kernels = count_row_kernels<T>();
  const std::int64_t n_genes = logits.scale.size(1), n_cells = x.n_cells();
  const bool has_theta = family != CountFamily::poisson;
  const bool theta_is_shared = has_theta && logits.log_theta.dim() == 1;
  ThetaRow<T> shared;
  if (theta_is_shared) kernels.prepare_theta(logits.log_theta.data_ptr<T>(), n_genes, shared);

  const std::int64_t rows_per_task = std::max<std::int64_t>(1, entries_per_task / std::max<std::int64_t>(1, n_genes));
  const std::int64_t n_draws = n_cells == 0 ? 0 : logits.scale.size(0) / n_cells;
  const bool theta_is_of_cell = !has_theta || theta_is_shared || logits.log_theta.size(0) == n_cells;
  // Cell by cell, each with its draws: what is the same for them is done once.
  at::parallel_for(0, logits.scale.size(0), rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    CountScratch<T> scratch;
    ThetaRow<T> own;
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t cell = k / n_draws, r = k % n_draws * n_cells + cell, first = counts.indptr[cell];
      const bool is_new = k == begin || k % n_draws == 0 || !theta_is_of_cell;
      if (is_new && has_theta && !theta_is_shared) {
        kernels.prepare_theta(row_of<T>(logits.log_theta, r), n_genes, own);
      }
      CountRow<T> row;
      row.n_genes = n_genes;
      row.logits = row_of<T>(logits.scale, r);
      row.logits_bias = logits.scale_bias.data_ptr<T>();
      row.log_library = logits.log_library.data_ptr<T>()[r];
      if (has_theta) row.theta = theta_is_shared ? &shared : &own;
      if (family == CountFamily::zinb) {
        row.dropout = row_of<T>(logits.dropout, r);
        row.dropout_bias = logits.dropout_bias.data_ptr<T>();
      }
      row.n_stored = counts.indptr[cell + 1] - first;
      row.gene = counts.gene.data() + first;
      row.count = counts.value.data() + first;
      row.d_logits = row_of<T>(out.scale, r);
      row.d_log_theta = row_of<T>(out.log_theta, r);
      row.d_dropout = row_of<T>(out.dropout, r);
      if (is_new) {
        if (k > begin) kernels.forget(scratch);
        kernels.prepare(family, row, scratch);
      }
      total.data_ptr<T>()[r] = static_cast<T>(kernels.evaluate(family, row, scratch));
      if (out.log_library.defined()) out.log_library.data_ptr<T>()[r] = row.d_log_library;
    }
  });
}

void check_shapes(CountFamily family, const CellMatrix& x, const CountLogits& logits, bool with_derivatives) {
  const std::int64_t n = logits.scale.size(0), n_genes = logits.scale.size(1);
  const auto require = [](bool holds) {
    if (!holds) throw InternalError("the parameters of the counts do not fit each other");
  };
  require(x.n_genes() == n_genes && n % std::max<std::int64_t>(1, x.n_cells()) == 0 && logits.log_library.numel() == n);
  if (family == CountFamily::zinb) require(logits.dropout.sizes() == logits.scale.sizes());
  if (family == CountFamily::poisson) return;
  const at::Tensor& theta = logits.log_theta;
  const bool by_row = theta.dim() == 2 && theta.size(1) == n_genes &&
                      (theta.size(0) == n || (!with_derivatives && theta.size(0) == x.n_cells()));
  require(by_row || (theta.dim() == 1 && theta.size(0) == n_genes));
}

// Sums over draws, weighted by the draws' gradients; (G) each.
struct GeneSums {
  at::Tensor scale, log_theta, dropout;
};

// Scales the derivatives (N, G) by the draws' gradients in place, and sums them up. In one go, as each is as large as
// the cache; ln theta's that are shared by all draws are only summed.
template <class T>
GeneSums scale_derivatives(Derivatives& d, bool theta_is_shared, const at::Tensor& by_draw) {
  const CountRowKernels<T> kernels = count_row_kernels<T>();
  const std::int64_t n = d.scale.size(0), n_genes = d.scale.size(1);
  GeneSums sums;
  sums.scale = at::zeros({n_genes}, d.scale.options());
  if (d.log_theta.defined()) sums.log_theta = at::zeros_like(sums.scale);
  if (d.dropout.defined()) sums.dropout = at::zeros_like(sums.scale);
  const T* by = by_draw.data_ptr<T>();
  at::parallel_for(0, n_genes, genes_per_task, [&](std::int64_t begin, std::int64_t end) {
    const auto scale = [&](std::int64_t r, const at::Tensor& rows, const at::Tensor& sum) {
      if (!rows.defined()) return;
      kernels.scale_and_add(by[r], end - begin, row_of<T>(rows, r) + begin, sum.data_ptr<T>() + begin);
    };
    for (std::int64_t r = 0; r < n; ++r) {
      scale(r, d.scale, sums.scale);
      scale(r, d.dropout, sums.dropout);
      if (!theta_is_shared) {
        scale(r, d.log_theta, sums.log_theta);
      } else {
        kernels.add_scaled(by[r], end - begin, row_of<T>(d.log_theta, r) + begin, sums.log_theta.data_ptr<T>() + begin);
      }
    }
  });
  return sums;
}

// Value and derivatives in the forward pass; the backward pass only scales them by the draws' gradients.
struct FusedLogLikelihood : torch::autograd::Function<FusedLogLikelihood> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& scale, const at::Tensor& scale_bias,
                            const at::Tensor& log_library, const at::Tensor& log_theta, const at::Tensor& dropout,
                            const at::Tensor& dropout_bias, const CellMatrix& x, CountFamily family,
                            bool with_derivatives) {
    const CountLogits logits = contiguous({scale, log_library, log_theta, dropout, scale_bias, dropout_bias});
    check_shapes(family, x, logits, with_derivatives);
    const auto saved = c10::make_intrusive<SavedDerivatives>();
    if (with_derivatives) saved->derivatives = make_room(family, logits.scale);
    saved->theta_is_shared = family != CountFamily::poisson && log_theta.dim() == 1;
    const at::Tensor total = at::empty({scale.size(0)}, scale.options());
    AT_DISPATCH_FLOATING_TYPES(scale.scalar_type(), "log_likelihood", [&] {
      evaluate_rows<scalar_t>(family, x, logits, saved->derivatives, total);
    });
    context->saved_data["derivatives"] = c10::IValue::make_capsule(saved);
    return total;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto capsule = context->saved_data["derivatives"].toCapsule();
    auto& saved = static_cast<SavedDerivatives&>(*capsule);
    Derivatives d = std::move(saved.derivatives);
    saved.derivatives = Derivatives();
    if (!d.scale.defined()) throw InternalError("the gradients of the counts were taken already");
    const at::Tensor by_draw = gradients[0].contiguous();
    GeneSums sums;
    AT_DISPATCH_FLOATING_TYPES(d.scale.scalar_type(), "log_likelihood_backward", [&] {
      sums = scale_derivatives<scalar_t>(d, saved.theta_is_shared, by_draw);
    });
    const at::Tensor log_library = d.log_library.mul_(by_draw.unsqueeze(1));
    const at::Tensor& log_theta = saved.theta_is_shared ? sums.log_theta : d.log_theta;
    const at::Tensor none;
    return {d.scale, sums.scale, log_library, log_theta, d.dropout, sums.dropout, none, none, none};
  }
};

}  // namespace

at::Tensor fused_log_likelihood(CountDistribution distribution, const CellMatrix& x, const CountLogits& logits) {
  const bool has_theta = distribution != CountDistribution::poisson;
  const bool has_dropout = distribution == CountDistribution::zinb;
  const at::Tensor none = at::empty({0}, logits.scale.options());  // autograd takes no undefined tensor
  const at::Tensor no_bias = logits.scale_bias.defined() && (logits.dropout_bias.defined() || !has_dropout)
                                 ? none
                                 : at::zeros({logits.scale.size(1)}, logits.scale.options());
  const auto bias = [&](const at::Tensor& given) { return given.defined() ? given : no_bias; };
  const at::Tensor scale_bias = bias(logits.scale_bias), dropout_bias = has_dropout ? bias(logits.dropout_bias) : none;
  const at::Tensor& theta = has_theta ? logits.log_theta : none;
  const at::Tensor& dropout = has_dropout ? logits.dropout : none;
  // Within forward() autograd records nothing, and does not say whether it does outside.
  const std::vector<at::Tensor> inputs = {logits.scale, scale_bias, logits.log_library, theta, dropout, dropout_bias};
  const bool with_derivatives =
      at::GradMode::is_enabled() &&
      std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& tensor) { return tensor.requires_grad(); });
  return FusedLogLikelihood::apply(logits.scale, scale_bias, logits.log_library, theta, dropout, dropout_bias, x,
                                   family_of(distribution), with_derivatives);
}

namespace {

// visit(row) for the rows of (N, G), several threads at a time.
template <class Visit>
void for_each_row(const at::Tensor& rows, const Visit& visit) {
  const std::int64_t n_columns = std::max<std::int64_t>(1, rows.size(1));
  const std::int64_t rows_per_task = std::max<std::int64_t>(1, entries_per_task / n_columns);
  at::parallel_for(0, rows.size(0), rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) visit(r);
  });
}

}  // namespace

void softmax_in_place(at::Tensor& logits, const at::Tensor& bias) {
  const auto kernel = count_row_kernels<float>().softmax;
  const at::Tensor added = bias.contiguous();
  for_each_row(logits, [&](std::int64_t r) {
    kernel(logits.size(1), row_of<float>(logits, r), added.data_ptr<float>());
  });
}

at::Tensor log_sum_exp(at::Tensor logits) {
  if (!logits.device().is_cpu() || logits.scalar_type() != at::kFloat || logits.size(1) == 0) {
    return at::logsumexp(logits, {1}, /*keepdim=*/true);
  }
  const auto kernel = count_row_kernels<float>().log_sum_exp;
  logits = logits.contiguous();
  const at::Tensor no_bias = at::zeros({logits.size(1)}, logits.options());
  const at::Tensor out = at::empty({logits.size(0), 1}, logits.options());
  for_each_row(logits, [&](std::int64_t r) {
    out.data_ptr<float>()[r] = kernel(logits.size(1), row_of<float>(logits, r), no_bias.data_ptr<float>());
  });
  return out;
}

at::Tensor shares_in_place(at::Tensor logits, const at::Tensor& log_normaliser) {
  if (!logits.device().is_cpu() || logits.scalar_type() != at::kFloat || !logits.is_contiguous()) {
    return logits.sub_(log_normaliser).exp_();
  }
  const auto kernel = count_row_kernels<float>().shares;
  const at::Tensor by = log_normaliser.contiguous();
  for_each_row(logits, [&](std::int64_t r) {
    kernel(logits.size(1), by.data_ptr<float>()[r], row_of<float>(logits, r));
  });
  return logits;
}

}  // namespace rscvi
