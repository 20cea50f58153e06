#include "core/distributions/draws.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/distributions/samplers.h"
#include "core/distributions/zero_probability.h"

namespace rscvi {
namespace {

constexpr float largest_rate = 1e8;

// A gamma draw in single precision is never below 1e-38: divided by a theta of that size, it would be far from 0 where
// the distribution is all but a point mass there. And with an infinite theta it would be NaN.
constexpr float smallest_theta = 1e-8F, largest_theta = 1e20F;

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

// Some neighbouring draws, with the shapes of their gamma draws.
struct Run {
  std::int64_t first, n;
  const float* theta;
  const GammaShape* of_gene;  // null where each draw has a theta of its own

  GammaShape shape(std::int64_t k) const { return of_gene ? of_gene[k] : GammaShape(theta[k]); }
};
constexpr std::int64_t longest_run = 256;

// theta, clamped: one a gene, or one a draw.
class Shapes {
 public:
  Shapes(const at::Tensor& theta, const at::Tensor& mu) {
    const bool by_gene = theta.dim() == 1 && mu.dim() > 0 && theta.size(0) == mu.size(-1);
    const at::Tensor possible = theta.to(at::kFloat).clamp(smallest_theta, largest_theta);
    theta_ = (by_gene ? possible : possible.expand_as(mu)).contiguous();
    const float* values = theta_.data_ptr<float>();
    if (by_gene) of_gene_ = std::vector<GammaShape>(values, values + theta_.numel());
  }

  // Calls visit(run) for all draws from begin to end, in order. No run goes beyond a row of genes.
  template <class Visit>
  void for_each_run(std::int64_t begin, std::int64_t end, Visit&& visit) const {
    const std::int64_t n_genes = theta_.numel();
    const float* theta = theta_.data_ptr<float>();
    for (std::int64_t k = begin, n; k < end; k += n) {
      n = std::min(longest_run, end - k);
      if (of_gene_.empty()) {
        visit(Run{k, n, theta + k, nullptr});
        continue;
      }
      const std::int64_t gene = k % n_genes;
      n = std::min(n, n_genes - gene);
      visit(Run{k, n, theta + gene, of_gene_.data() + gene});
    }
  }

 private:
  at::Tensor theta_;
  std::vector<GammaShape> of_gene_;
};

float draw_rate(float mu, const GammaShape& shape, Sampler& sampler) {
  return sampler.gamma(shape) * (mu * shape.inverse);
}

// Where counts that are not 0 have a small mean, by inversion: most counts of most genes are 0, and known to be at
// once. Else Poisson with a gamma's rate.
float draw_negative_binomial(float mu, const Run& run, std::int64_t k, double p_zero, Sampler& sampler) {
  constexpr double largest_mean = 12;
  if (mu <= largest_mean * (1 - p_zero)) return sampler.negative_binomial(mu, run.theta[k], p_zero);
  return sampler.poisson(std::min(draw_rate(mu, run.shape(k), sampler), largest_rate));
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
    double p_zero[longest_run];
    shapes.for_each_run(begin, end, [&](const Run& run) {
      nb_zero_probabilities(run.n, means + run.first, run.theta, p_zero);
      for (std::int64_t k = 0; k < run.n; ++k) {
        const std::int64_t at = run.first + k;
        const float count = draw_negative_binomial(means[at], run, k, p_zero[k], sampler);
        // 0 stays 0: only other counts need their draw. u <= sigmoid(pi) without a division.
        const bool dropped = logits && count > 0 && dropout.uniform() * (1.0 + std::exp(-logits[at])) <= 1.0;
        out[at] = dropped ? 0.0F : count;
      }
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
    shapes.for_each_run(begin, end, [&](const Run& run) {
      for (std::int64_t k = 0; k < run.n; ++k) {
        out[run.first + k] = draw_rate(means[run.first + k], run.shape(k), sampler);
      }
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
