// The pass of zero_probability.h; see base/for_each_target.inl.

typedef float HalfFloats __attribute__((vector_size(RSCVI_VECTOR_BYTES / 2)));

RSCVI_KERNEL void zero_probabilities(std::int64_t n, const float* mu, const float* theta, double* out) {
  constexpr std::int64_t lanes = VectorOf<double>::lanes;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    const bool whole = here == lanes;
    const Doubles mean = __builtin_convertvector(
        whole ? load<HalfFloats>(mu + k) : load_some<HalfFloats>(mu + k, here, 0.0f), Doubles);
    const Doubles shape = __builtin_convertvector(
        whole ? load<HalfFloats>(theta + k) : load_some<HalfFloats>(theta + k, here, 1.0f), Doubles);
    const Doubles ratio = mean / shape;
    const Doubles p = exp_of(-shape * log1p_of(ratio));
    // exp_of() and log_of() say nothing of NaN.
    const Doubles known = ratio == ratio ? p : ratio;
    if (whole) {
      store(out + k, known);
    } else {
      store_some(out + k, here, known);
    }
  }
}
