// See adam_kernel.h and base/for_each_target.inl.

RSCVI_KERNEL_HELPER Floats adam_update(const AdamStep& step, Floats gradient, Floats parameter, Floats& mean,
                                       Floats& mean_square) {
  const Floats g = gradient + parameter * step.weight_decay;
  mean = mean * step.beta1 + g * (1.0f - step.beta1);
  mean_square = mean_square * step.beta2 + g * g * (1.0f - step.beta2);
  return parameter - mean * step.step_size / (square_root(mean_square) * step.inverse_root_correction + step.eps);
}

RSCVI_KERNEL void adam_range(const AdamStep& step, std::int64_t n, const float* gradient, float* parameter, float* mean,
                             float* mean_square) {
  constexpr std::int64_t lanes = VectorOf<float>::lanes;
  const std::int64_t whole = n - n % lanes;
  for (std::int64_t k = 0; k < whole; k += lanes) {
    Floats m = load<Floats>(mean + k), v = load<Floats>(mean_square + k);
    store(parameter + k, adam_update(step, load<Floats>(gradient + k), load<Floats>(parameter + k), m, v));
    store(mean + k, m);
    store(mean_square + k, v);
  }
  if (whole == n) return;
  Floats m = load_some<Floats>(mean + whole, n - whole, 0.0f);
  Floats v = load_some<Floats>(mean_square + whole, n - whole, 0.0f);
  const Floats g = load_some<Floats>(gradient + whole, n - whole, 0.0f);
  const Floats p = load_some<Floats>(parameter + whole, n - whole, 0.0f);
  store_some(parameter + whole, n - whole, adam_update(step, g, p, m, v));
  store_some(mean + whole, n - whole, m);
  store_some(mean_square + whole, n - whole, v);
}
