#include "core/distributions/counts.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include "core/distributions/count_kernels.h"
#include "core/distributions/fused_likelihood.h"

namespace rscvi {
namespace {

// The formulas of count_kernels.h on whole tensors. In double throughout: for large counts terms of size x ln x cancel,
// and so do the log-gamma functions of a large theta (see gamma_functions.h).
at::Tensor composed_log_nb(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta) {
  using count_detail::eps;
  const at::Tensor c = x.to(at::kDouble), m = mu.to(at::kDouble);
  const at::Tensor r = theta.to(at::kDouble).clamp_min(count_detail::tiny);
  const at::Tensor log_p = -(r + c) * at::log1p(m / (r + eps)) + c * at::log(m + eps) + at::lgamma(c + r) -
                           at::lgamma(r) - c * at::log(r + eps) - at::lgamma(c + 1);
  return log_p.to(mu.scalar_type());
}

at::Tensor composed_log_zinb(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta,
                             const at::Tensor& pi) {
  const at::Tensor r = theta.clamp_min(count_detail::tiny);
  const at::Tensor d = -r * at::log1p(mu / (r + count_detail::eps));
  const at::Tensor at_zero = at::softplus(d - pi) - at::softplus(-pi);
  return at::where(x == 0, at_zero, composed_log_nb(x, mu, theta) - at::softplus(pi));
}

at::Tensor composed_log_poisson(const at::Tensor& x, const at::Tensor& mu) {
  const at::Tensor c = x.to(at::kDouble), m = mu.to(at::kDouble).clamp_min(count_detail::tiny);
  return (at::xlogy(c, m) - m - at::lgamma(c + 1)).to(mu.scalar_type());
}

at::Tensor composed(CountDistribution distribution, const CellMatrix& cells, const CountLogits& logits) {
  const std::int64_t n_times = logits.scale.size(0) / std::max<std::int64_t>(1, cells.n_cells());
  const at::Tensor x = n_times == 1 ? cells.dense() : cells.dense().repeat({n_times, 1});
  const auto biased = [](const at::Tensor& out, const at::Tensor& bias) { return bias.defined() ? out + bias : out; };
  const at::Tensor mu = at::exp(logits.log_library) * at::softmax(biased(logits.scale, logits.scale_bias), -1);
  if (distribution == CountDistribution::poisson) return composed_log_poisson(x, mu).sum(-1);
  at::Tensor theta = at::exp(logits.log_theta);
  if (theta.dim() == 2 && theta.size(0) != mu.size(0)) theta = theta.repeat({n_times, 1});
  if (distribution == CountDistribution::nb) return composed_log_nb(x, mu, theta).sum(-1);
  return composed_log_zinb(x, mu, theta, biased(logits.dropout, logits.dropout_bias)).sum(-1);
}

template <class Kernel>
at::Tensor entrywise(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta, const at::Tensor& pi) {
  const at::Tensor out = at::empty_like(x, at::MemoryFormat::Contiguous).view(-1);
  const auto flat = [](bool wanted, const at::Tensor& tensor) {
    return wanted ? tensor.contiguous().view(-1) : at::Tensor();
  };
  const at::Tensor flat_x = flat(true, x), flat_mu = flat(true, mu);
  const at::Tensor flat_theta = flat(Kernel::has_theta, theta), flat_pi = flat(Kernel::has_pi, pi);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "log_probability", [&] {
    const auto start = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.data_ptr<scalar_t>() : nullptr;
    };
    const scalar_t *xs = start(flat_x), *mus = start(flat_mu), *thetas = start(flat_theta), *pis = start(flat_pi);
    scalar_t* to = out.data_ptr<scalar_t>();
    for (std::int64_t k = 0; k < flat_x.numel(); ++k) {
      to[k] = Kernel::evaluate(xs[k], mus[k], thetas ? thetas[k] : scalar_t(0), pis ? pis[k] : scalar_t(0)).value;
    }
  });
  return out.view(x.sizes());
}

}  // namespace

at::Tensor log_likelihood(CountDistribution distribution, const CellMatrix& x, const CountLogits& logits, bool fused) {
  return fused && logits.scale.device().is_cpu() ? fused_log_likelihood(distribution, x, logits)
                                                 : composed(distribution, x, logits);
}

at::Tensor expected_shares(at::Tensor scale, const at::Tensor& bias) {
  const bool in_place = !at::GradMode::is_enabled() && scale.device().is_cpu() && scale.is_contiguous() &&
                        scale.scalar_type() == at::kFloat && bias.defined() && scale.size(1) > 0;
  if (!in_place) return at::softmax(bias.defined() ? scale + bias : scale, -1);
  softmax_in_place(scale, bias);
  return scale;
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
