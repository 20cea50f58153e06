#include "core/posterior/paired_scales.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/distributions/counts.h"

namespace rscvi {
namespace {

constexpr std::int64_t pairs_at_once = 128;

struct Totals {
  at::Tensor above, sum1, sum2;  // (G), double; sums of a block of rows are of single precision

  explicit Totals(std::int64_t n_genes)
      : above(at::zeros({n_genes}, at::kDouble)), sum1(at::zeros_like(above)), sum2(at::zeros_like(above)) {}

  // Samples of the one population, then as many of the other; (2n, G), contiguous.
  void add(const at::Tensor& scales) {
    const std::int64_t n_rows = scales.size(0) / 2, n_genes = scales.size(1);
    const float *from1 = scales.data_ptr<float>(), *from2 = from1 + n_rows * n_genes;
    double *to = above.data_ptr<double>(), *to1 = sum1.data_ptr<double>(), *to2 = sum2.data_ptr<double>();
    constexpr std::int64_t strip = 512;
    at::parallel_for(0, n_genes, strip, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t first = begin; first < end; first += strip) {
        const std::int64_t width = std::min(strip, end - first);
        float count[strip] = {}, total1[strip] = {}, total2[strip] = {};
        for (std::int64_t row = 0; row < n_rows; ++row) {
          const float *a = from1 + row * n_genes + first, *b = from2 + row * n_genes + first;
#pragma omp simd
          for (std::int64_t g = 0; g < width; ++g) {
            count[g] += a[g] > b[g] ? 1.0f : 0.0f;
            total1[g] += a[g];
            total2[g] += b[g];
          }
        }
        for (std::int64_t g = 0; g < width; ++g) {
          to[first + g] += count[g];
          to1[first + g] += total1[g];
          to2[first + g] += total2[g];
        }
      }
    });
  }
};

std::vector<double> divided(const at::Tensor& total, double n) {
  const double* from = total.data_ptr<double>();
  std::vector<double> out(from, from + total.numel());
  for (double& value : out) value /= n;
  return out;
}

}  // namespace

PairedScales compare_paired(Vae model, const Population& population1, const Population& population2,
                            const std::vector<std::int64_t>& rows1, const std::vector<std::int64_t>& rows2,
                            const std::function<void()>& poll) {
  const EvaluationScope evaluation(model);
  const c10::Device device = model->device();
  const at::Tensor all1 = at::tensor(rows1, at::kLong).to(device), all2 = at::tensor(rows2, at::kLong).to(device);
  const std::int64_t n = all1.numel();
  Totals totals(model->options().n_input);
  const at::Tensor no_bias = at::zeros({model->options().n_input}, population1.hidden.options());  // logits have it
  for (std::int64_t start = 0; start < n; start += pairs_at_once) {
    if (poll) poll();
    const std::int64_t size = std::min(pairs_at_once, n - start);
    // In one matrix product: half as many, and larger ones.
    const at::Tensor hidden = at::cat({population1.hidden.index_select(0, all1.narrow(0, start, size)),
                                       population2.hidden.index_select(0, all2.narrow(0, start, size))});
    const at::Tensor logits = model->scale_logits(hidden, 0, model->options().n_input);
    totals.add(expected_shares(logits, no_bias).cpu().contiguous());
  }
  const auto pairs = static_cast<double>(n);
  return {divided(totals.above, pairs), divided(totals.sum1, pairs), divided(totals.sum2, pairs)};
}

}  // namespace rscvi
