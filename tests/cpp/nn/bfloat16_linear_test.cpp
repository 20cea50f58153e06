#include "core/nn/bfloat16_linear.h"

#include "core/base/precision.h"
#include "core/nn/linear.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

// Half a unit in the last of 8 significant bits.
constexpr double rounding = 1.0 / 256;

at::Tensor rounded(const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kFloat); }

// Whether `result` is a b' of rounded a (m, k) and b (n, k), itself rounded. Sums in bfloat16, as LibTorch makes them
// of small matrices and where the processor knows none, may lose that much at every step.
bool is_product_of(const at::Tensor& result, const at::Tensor& a, const at::Tensor& b, std::int64_t lossy_steps) {
  const at::Tensor exact = at::mm(rounded(a), rounded(b).t()), terms = at::mm(rounded(a).abs(), rounded(b).t().abs());
  const at::Tensor room = exact.abs() * rounding + terms * (1e-5 + rounding * static_cast<double>(lossy_steps));
  return ((result - exact).abs() <= room).all().item<bool>();
}

struct Layer {
  at::Tensor x, weight, d;  // (B, in), (out, in), (B, out)
};

Layer make_layer(std::int64_t n, std::int64_t n_in, std::int64_t n_out, bool by_input) {
  RandomStream random(3);
  Layer layer = {random.normal({n, n_in}, c10::kCPU), random.normal({n_out, n_in}, c10::kCPU),
                 random.normal({n, n_out}, c10::kCPU)};
  if (by_input) layer.weight = layer.weight.t().contiguous().t();
  layer.x.requires_grad_(true);
  layer.weight.requires_grad_(true);
  return layer;
}

}  // namespace

TEST_CASE("bfloat16 linear: the product of rounded matrices, and so are its gradients") {
  struct Example {
    std::int64_t n, n_in, n_out;
    bool sums_are_single;
  };
  for (const Example& example : {Example{13, 7, 11, false}, Example{128, 128, 300, has_bfloat16_products()}}) {
    for (const bool by_input : {false, true}) {
      CAPTURE(example.n_in);
      CAPTURE(by_input);
      const Layer layer = make_layer(example.n, example.n_in, example.n_out, by_input);
      const at::Tensor y = bfloat16_linear(layer.x, layer.weight), x = layer.x.detach(), w = layer.weight.detach();
      CHECK((y.scalar_type() == at::kFloat));
      const auto lossy = [&](std::int64_t n_terms) { return example.sums_are_single ? 0 : n_terms; };
      CHECK(is_product_of(y.detach(), x, w, lossy(example.n_in)));
      y.backward(layer.d);
      CHECK(is_product_of(layer.x.grad(), layer.d, w.t(), lossy(example.n_out)));
      CHECK(is_product_of(layer.weight.grad(), layer.d.t(), x.t(), lossy(example.n)));
      // Adam goes through a weight and its gradient in one pass if they lie alike.
      CHECK(layer.weight.grad().strides() == layer.weight.strides());
    }
  }
}

TEST_CASE("bfloat16 linear: what is frozen gets no gradient") {
  Layer layer = make_layer(5, 4, 3, /*by_input=*/false);
  layer.weight.requires_grad_(false);
  bfloat16_linear(layer.x, layer.weight).backward(layer.d);
  CHECK(layer.x.grad().defined());
  CHECK_FALSE(layer.weight.grad().defined());
}

TEST_CASE("bfloat16 linear: only where it is asked for and pays, and never outside training") {
  const Layer large = make_layer(128, 128, 512, /*by_input=*/true), small = make_layer(128, 128, 10, true);
  CHECK_FALSE(uses_bfloat16(large.x, large.weight));
  const at::Tensor exact = apply_linear(large.x, large.weight, {}).detach();
  const PrecisionScope scope(Precision::bfloat16);
  CHECK(uses_bfloat16(large.x, large.weight) == has_bfloat16_products());
  CHECK_FALSE(uses_bfloat16(small.x, small.weight));
  CHECK_FALSE(uses_bfloat16(large.x.detach().to(at::kDouble), large.weight.detach().to(at::kDouble)));
  CHECK(same_bits(apply_linear(large.x, large.weight, {}).detach(), exact) == !has_bfloat16_products());
  const at::Tensor y = apply_linear(large.x, large.weight, at::ones({512})).detach();
  CHECK((y - (exact + 1)).abs().max().item<double>() < 3 * rounding * exact.abs().max().item<double>());
  const at::NoGradGuard no_grad;
  CHECK_FALSE(uses_bfloat16(large.x, large.weight));
  CHECK(same_bits(apply_linear(large.x, large.weight, {}), exact));
}
