#include "core/distributions/draws.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "core/distributions/samplers.h"

namespace rscvi {
namespace {

constexpr float largest_rate = 1e8;

// A gamma draw in single precision is never below 1e-38: divided by a theta of that size, it would be far from 0 where
// the distribution is all but a point mass there. And with an infinite theta it would be NaN.
constexpr float smallest_theta = 1e-8F, largest_theta = 1e20F;

float clamped(float theta) { return std::min(std::max(theta, smallest_theta), largest_theta); }

// Samplers of our own are for floats on the CPU.
bool is_sampled_here(const at::Tensor& mu) { return mu.device().is_cpu() && mu.scalar_type() == at::kFloat; }

// draw(begin, end, seed) for stretches of n entries, each with a seed of its own: as fast as there are threads, and the
// same with any number of them.
template <class Draw>
void draw_in_pieces(std::int64_t n, RandomStream& random, const Draw& draw) {
  constexpr std::int64_t piece = std::int64_t{1} << 16;
  const std::vector<std::uint64_t> seeds = random.seeds((n + piece - 1) / piece);
  at::parallel_for(0, static_cast<std::int64_t>(seeds.size()), /*grain_size=*/1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t k = begin; k < end; ++k) {
                       draw(k * piece, std::min((k + 1) * piece, n), seeds[k]);
                     }
                   });
}

// Contiguous, of mu's shape; undefined stays undefined.
at::Tensor beside(const at::Tensor& parameter, const at::Tensor& mu) {
  return parameter.defined() ? parameter.to(mu.scalar_type()).expand_as(mu).contiguous() : parameter;
}

const float* values(const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr<float>() : nullptr; }

// The shapes of gamma draws: of one theta a gene, or of one a draw.
class Shapes {
 public:
  Shapes(const at::Tensor& theta, const at::Tensor& mu) {
    if (theta.dim() != 1 || mu.dim() == 0 || theta.size(0) != mu.size(-1)) {
      by_draw_ = beside(theta, mu);
      return;
    }
    const at::Tensor of_gene = theta.to(at::kFloat).contiguous();
    for (std::int64_t g = 0; g < of_gene.numel(); ++g) by_gene_.emplace_back(clamped(of_gene.data_ptr<float>()[g]));
  }

  // Calls visit(k, shape) for k from begin to end.
  template <class Visit>
  void for_each(std::int64_t begin, std::int64_t end, Visit&& visit) const {
    if (by_draw_.defined()) {
      const float* theta = by_draw_.data_ptr<float>();
      for (std::int64_t k = begin; k < end; ++k) visit(k, GammaShape(clamped(theta[k])));
      return;
    }
    const auto n_genes = static_cast<std::int64_t>(by_gene_.size());
    for (std::int64_t k = begin, gene = begin % n_genes; k < end; ++k) {
      visit(k, by_gene_[gene]);
      if (++gene == n_genes) gene = 0;
    }
  }

 private:
  at::Tensor by_draw_;
  std::vector<GammaShape> by_gene_;
};

float draw_rate(float mu, const GammaShape& shape, Sampler& sampler) {
  return sampler.gamma(shape) * (mu * shape.inverse);
}

at::Tensor draw_poisson(const at::Tensor& mean, RandomStream& random) {
  at::Tensor counts = at::empty_like(mean);
  const float* means = values(mean);
  float* out = counts.data_ptr<float>();
  draw_in_pieces(mean.numel(), random, [&](std::int64_t begin, std::int64_t end, std::uint64_t seed) {
    Sampler sampler(seed);
    for (std::int64_t k = begin; k < end; ++k) out[k] = sampler.poisson(std::min(means[k], largest_rate));
  });
  return counts;
}

// Without pi, no dropout.
at::Tensor draw_mixed_poisson(const at::Tensor& mean, const at::Tensor& theta, const at::Tensor& pi,
                              RandomStream& random) {
  const Shapes shapes(theta, mean);
  at::Tensor counts = at::empty_like(mean);
  const float *means = values(mean), *logits = values(pi);
  float* out = counts.data_ptr<float>();
  draw_in_pieces(mean.numel(), random, [&](std::int64_t begin, std::int64_t end, std::uint64_t seed) {
    Sampler sampler(seed), dropout(~seed);  // apart, so that the counts are those of the model without dropout
    shapes.for_each(begin, end, [&](std::int64_t k, const GammaShape& shape) {
      const float count = sampler.poisson(std::min(draw_rate(means[k], shape, sampler), largest_rate));
      // 0 stays 0: only other counts need their draw. u <= sigmoid(pi) without a division.
      const bool dropped = logits && count > 0 && dropout.uniform() * (1.0 + std::exp(-logits[k])) <= 1.0;
      out[k] = dropped ? 0.0F : count;
    });
  });
  return counts;
}

at::Tensor draw_counts_here(CountDistribution distribution, const at::Tensor& mu, const at::Tensor& theta,
                            const at::Tensor& pi, RandomStream& random) {
  const at::Tensor mean = mu.contiguous();
  if (distribution == CountDistribution::poisson) return draw_poisson(mean, random);
  const bool has_dropout = distribution == CountDistribution::zinb;
  return draw_mixed_poisson(mean, theta, has_dropout ? beside(pi, mu) : at::Tensor(), random);
}

}  // namespace

at::Tensor draw_rates(const at::Tensor& mu, const at::Tensor& theta, RandomStream& random) {
  if (!is_sampled_here(mu)) {
    const at::Tensor shape = theta.clamp(smallest_theta, largest_theta);
    return random.gamma(shape.expand_as(mu)).mul_(mu / shape);
  }
  const at::Tensor mean = mu.contiguous();
  const Shapes shapes(theta, mean);
  const float* means = values(mean);
  at::Tensor rates = at::empty_like(mean);
  float* out = rates.data_ptr<float>();
  draw_in_pieces(mean.numel(), random, [&](std::int64_t begin, std::int64_t end, std::uint64_t seed) {
    Sampler sampler(seed);
    shapes.for_each(begin, end, [&](std::int64_t k, const GammaShape& shape) {
      out[k] = draw_rate(means[k], shape, sampler);
    });
  });
  return rates;
}

at::Tensor draw_counts(CountDistribution distribution, const at::Tensor& mu, const at::Tensor& theta,
                       const at::Tensor& pi, RandomStream& random) {
  if (is_sampled_here(mu)) return draw_counts_here(distribution, mu, theta, pi, random);
  const bool has_theta = distribution != CountDistribution::poisson;
  const at::Tensor rate = has_theta ? draw_rates(mu, theta, random) : mu;
  at::Tensor counts = random.poisson(rate.clamp_max(largest_rate));
  if (distribution == CountDistribution::zinb) {
    counts.masked_fill_(random.uniform_like(counts) <= at::sigmoid(pi), 0);
  }
  return counts;
}

}  // namespace rscvi
