#include "core/distributions/counts.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/distributions/count_kernels.h"

namespace rscvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A pass over few entries is not worth waking a second thread.
constexpr std::int64_t entries_per_task = 16384;

// Pointers into a (B, G) tensor, a (G) tensor that every row shares, or nothing.
template <class T>
struct Rows {
  explicit Rows(const at::Tensor& tensor)
      : data(tensor.defined() ? tensor.data_ptr<T>() : nullptr),
        stride(tensor.defined() && tensor.dim() == 2 ? tensor.size(1) : 0) {}
  T at(std::int64_t row, std::int64_t gene) const { return data == nullptr ? T(0) : data[row * stride + gene]; }
  const T* data;
  std::int64_t stride;
};

template <class T>
T* row_of(const at::Tensor& tensor, std::int64_t row) {
  return tensor.defined() ? tensor.data_ptr<T>() + row * tensor.size(1) : nullptr;
}

struct Derivatives {
  at::Tensor mu, theta, pi;  // (B, G) each; undefined where the distribution has no such parameter
};

template <class Kernel, class T>
void sum_rows(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta, const at::Tensor& pi,
              const at::Tensor& total, const Derivatives* derivatives) {
  const std::int64_t n_genes = x.size(1);
  const Rows<T> x_rows(x), mu_rows(mu), theta_rows(theta), pi_rows(pi);
  T* out = total.data_ptr<T>();
  const std::int64_t rows_per_task = std::max<std::int64_t>(1, entries_per_task / std::max<std::int64_t>(1, n_genes));
  at::parallel_for(0, x.size(0), rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      T* d_mu = derivatives ? row_of<T>(derivatives->mu, row) : nullptr;
      T* d_theta = derivatives ? row_of<T>(derivatives->theta, row) : nullptr;
      T* d_pi = derivatives ? row_of<T>(derivatives->pi, row) : nullptr;
      double sum = 0;
      for (std::int64_t gene = 0; gene < n_genes; ++gene) {
        const CountTerm<T> term = Kernel::evaluate(x_rows.at(row, gene), mu_rows.at(row, gene),
                                                   theta_rows.at(row, gene), pi_rows.at(row, gene));
        sum += static_cast<double>(term.value);
        if (derivatives == nullptr) continue;
        d_mu[gene] = term.d_mu;
        if (Kernel::has_theta) d_theta[gene] = term.d_theta;
        if (Kernel::has_pi) d_pi[gene] = term.d_pi;
      }
      out[row] = static_cast<T>(sum);
    }
  });
}

// Value and derivatives in the forward pass; the backward pass only scales them by the cells' gradients.
template <class Kernel>
struct FusedLogLikelihood : torch::autograd::Function<FusedLogLikelihood<Kernel>> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& mu,
                            const at::Tensor& theta, const at::Tensor& pi) {
    const at::Tensor x_rows = x.contiguous(), mu_rows = mu.contiguous();
    const at::Tensor theta_rows = Kernel::has_theta ? theta.contiguous() : at::Tensor();
    const at::Tensor pi_rows = Kernel::has_pi ? pi.contiguous() : at::Tensor();
    const at::Tensor total = at::empty({x.size(0)}, x.options());
    const bool needs_gradient = mu.requires_grad() || theta.requires_grad() || pi.requires_grad();
    Derivatives derivatives;
    if (needs_gradient) {
      derivatives.mu = at::empty_like(mu_rows);
      if (Kernel::has_theta) derivatives.theta = at::empty_like(mu_rows);
      if (Kernel::has_pi) derivatives.pi = at::empty_like(mu_rows);
    }
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "log_likelihood", [&] {
      sum_rows<Kernel, scalar_t>(x_rows, mu_rows, theta_rows, pi_rows, total, needs_gradient ? &derivatives : nullptr);
    });
    context->saved_data["theta_is_shared"] = Kernel::has_theta && theta.dim() == 1;
    if (needs_gradient) {
      variable_list saved = {derivatives.mu};
      if (Kernel::has_theta) saved.push_back(derivatives.theta);
      if (Kernel::has_pi) saved.push_back(derivatives.pi);
      context->save_for_backward(std::move(saved));
    }
    return total;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor by_cell = gradients[0].unsqueeze(1);
    variable_list out(4);  // x, mu, theta, pi; x has no gradient
    out[1] = saved[0] * by_cell;
    if (Kernel::has_theta) {
      out[2] = context->saved_data["theta_is_shared"].toBool() ? at::mv(saved[1].t(), gradients[0])
                                                               : saved[1] * by_cell;
    }
    if (Kernel::has_pi) out[3] = saved[2] * by_cell;
    return out;
  }
};

// The formulas of count_kernels.h on whole tensors. In double throughout: for large counts terms of size x ln x cancel,
// and so do the log-gamma functions of a large theta (see gamma_functions.h).
at::Tensor composed_log_nb(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta) {
  using count_detail::eps;
  const at::Tensor c = x.to(at::kDouble), m = mu.to(at::kDouble);
  const at::Tensor r = theta.to(at::kDouble).clamp_min(count_detail::tiny);
  const at::Tensor log_p = -(r + c) * at::log1p(m / (r + eps)) + c * at::log(m + eps) + at::lgamma(c + r) -
                           at::lgamma(r) - c * at::log(r + eps) - at::lgamma(c + 1);
  return log_p.to(x.scalar_type());
}

at::Tensor composed_log_zinb(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta,
                             const at::Tensor& pi) {
  const at::Tensor r = theta.clamp_min(count_detail::tiny);
  const at::Tensor d = -r * at::log1p(mu / (r + count_detail::eps));
  const at::Tensor at_zero = at::softplus(d - pi) - at::softplus(-pi);
  return at::where(x == 0, at_zero, composed_log_nb(x, mu, theta) - at::softplus(pi));
}

at::Tensor composed(CountDistribution distribution, const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta,
                    const at::Tensor& pi) {
  switch (distribution) {
    case CountDistribution::zinb: return composed_log_zinb(x, mu, theta, pi);
    case CountDistribution::nb: return composed_log_nb(x, mu, theta);
    default: {
      const at::Tensor c = x.to(at::kDouble), m = mu.to(at::kDouble).clamp_min(count_detail::tiny);
      return (at::xlogy(c, m) - m - at::lgamma(c + 1)).to(x.scalar_type());
    }
  }
}

template <class Kernel>
at::Tensor entrywise(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta, const at::Tensor& pi) {
  const at::Tensor out = at::empty_like(x, at::MemoryFormat::Contiguous).view(-1);
  const at::Tensor flat_x = x.contiguous().view(-1), flat_mu = mu.contiguous().view(-1);
  const at::Tensor flat_theta = Kernel::has_theta ? theta.contiguous().view(-1) : at::Tensor();
  const at::Tensor flat_pi = Kernel::has_pi ? pi.contiguous().view(-1) : at::Tensor();
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "log_probability", [&] {
    const Rows<scalar_t> x_row(flat_x), mu_row(flat_mu), theta_row(flat_theta), pi_row(flat_pi);
    scalar_t* to = out.data_ptr<scalar_t>();
    for (std::int64_t k = 0; k < flat_x.numel(); ++k) {
      to[k] = Kernel::evaluate(x_row.at(0, k), mu_row.at(0, k), theta_row.at(0, k), pi_row.at(0, k)).value;
    }
  });
  return out.view(x.sizes());
}

}  // namespace

at::Tensor log_likelihood(CountDistribution distribution, const at::Tensor& x, const at::Tensor& mu,
                          const at::Tensor& theta, const at::Tensor& pi, bool fused) {
  if (!fused || !x.device().is_cpu()) return composed(distribution, x, mu, theta, pi).sum(-1);
  const at::Tensor none = at::empty({0}, x.options());  // autograd takes no undefined tensor
  switch (distribution) {
    case CountDistribution::zinb:
      return FusedLogLikelihood<ZeroInflatedNegativeBinomialKernel>::apply(x, mu, theta, pi);
    case CountDistribution::nb: return FusedLogLikelihood<NegativeBinomialKernel>::apply(x, mu, theta, none);
    default: return FusedLogLikelihood<PoissonKernel>::apply(x, mu, none, none);
  }
}

at::Tensor log_probability(CountDistribution distribution, const at::Tensor& x, const at::Tensor& mu,
                           const at::Tensor& theta, const at::Tensor& pi) {
  switch (distribution) {
    case CountDistribution::zinb: return entrywise<ZeroInflatedNegativeBinomialKernel>(x, mu, theta, pi);
    case CountDistribution::nb: return entrywise<NegativeBinomialKernel>(x, mu, theta, pi);
    default: return entrywise<PoissonKernel>(x, mu, theta, pi);
  }
}

}  // namespace rscvi
