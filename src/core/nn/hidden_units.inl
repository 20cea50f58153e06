// See hidden_units.cpp and base/for_each_target.inl. Units are done as many at a time as a vector has lanes, over all
// cells. Sums over cells are four that take turns: they need not wait for each other, and lose fewer digits.

// Units first .. first + n - 1 of every row.
struct Strip {
  std::int64_t n_units, first, n;
};

RSCVI_KERNEL_HELPER std::int64_t place(const Strip& strip, std::int64_t r) { return r * strip.n_units + strip.first; }

RSCVI_KERNEL_HELPER Floats of_row(const Strip& strip, const float* rows, std::int64_t r) {
  return part<Floats>(rows, place(strip, r), strip.n, 0.0f);
}

RSCVI_KERNEL_HELPER Floats of_units(const Strip& strip, const float* values) {
  return part<Floats>(values, strip.first, strip.n, 0.0f);
}

struct FourSums {
  Floats sum[4] = {};
};

RSCVI_KERNEL_HELPER Floats total(const FourSums& sums) {
  return (sums.sum[0] + sums.sum[1]) + (sums.sum[2] + sums.sum[3]);
}

RSCVI_KERNEL_HELPER Floats strip_mean(const Strip& strip, std::int64_t n_cells, const float* x) {
  FourSums sums;
  const std::int64_t whole = n_cells - n_cells % 4;
  for (std::int64_t r = 0; r < whole; r += 4) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums.sum[k] += of_row(strip, x, r + k);
  }
  for (std::int64_t r = whole; r < n_cells; ++r) sums.sum[0] += of_row(strip, x, r);
  return total(sums) / static_cast<float>(n_cells);
}

RSCVI_KERNEL_HELPER Floats square(Floats v) { return v * v; }

RSCVI_KERNEL_HELPER Floats strip_variance(const Strip& strip, std::int64_t n_cells, const float* x, Floats mean) {
  FourSums sums;
  const std::int64_t whole = n_cells - n_cells % 4;
  for (std::int64_t r = 0; r < whole; r += 4) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums.sum[k] += square(of_row(strip, x, r + k) - mean);
  }
  for (std::int64_t r = whole; r < n_cells; ++r) sums.sum[0] += square(of_row(strip, x, r) - mean);
  return total(sums) / static_cast<float>(n_cells);
}

RSCVI_KERNEL_HELPER void strip_forward(const Strip& strip, const HiddenUnits& units, const float* bias,
                                       const float* mask, float* y) {
  const Floats mean = of_units(strip, units.mean);
  const Floats slope = of_units(strip, units.inverse_sd) * of_units(strip, units.weight);
  const Floats start = of_units(strip, bias);
  for (std::int64_t r = 0; r < units.n_cells; ++r) {
    const Floats u = (of_row(strip, units.x, r) - mean) * slope + start;
    const Floats on = u < 0 ? Floats{} : u;  // NaN stays
    put(y, place(strip, r), strip.n, mask == nullptr ? on : on * of_row(strip, mask, r));
  }
}

// The derivative by u of one row, which d_x gets for the time being; what it adds to the sums over rows.
RSCVI_KERNEL_HELPER void to_units(const Strip& strip, const HiddenUnits& units, const UnitGradients& from,
                                  std::int64_t r, Floats mean, Floats& sum, Floats& product) {
  const Floats d = of_row(strip, from.y, r) * from.factor;
  const Floats d_u = of_row(strip, units.y, r) == 0 ? Floats{} : d;  // off or dropped: nothing passes
  sum += d_u;
  product += d_u * (of_row(strip, units.x, r) - mean);
  put(from.x, place(strip, r), strip.n, d_u);
}

RSCVI_KERNEL_HELPER void strip_backward(const Strip& strip, const HiddenUnits& units, const UnitGradients& d) {
  const Floats mean = of_units(strip, units.mean), inverse_sd = of_units(strip, units.inverse_sd);
  FourSums sums, products;
  const std::int64_t whole = units.n_cells - units.n_cells % 4;
  for (std::int64_t r = 0; r < whole; r += 4) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) to_units(strip, units, d, r + k, mean, sums.sum[k], products.sum[k]);
  }
  for (std::int64_t r = whole; r < units.n_cells; ++r) {
    to_units(strip, units, d, r, mean, sums.sum[0], products.sum[0]);
  }
  const Floats sum = total(sums), product = total(products) * inverse_sd;
  put(d.bias, strip.first, strip.n, sum);
  put(d.weight, strip.first, strip.n, product);

  const Floats slope = inverse_sd * of_units(strip, units.weight);
  const float share = d.through_moments ? 1.0f / static_cast<float>(units.n_cells) : 0.0f;
  for (std::int64_t r = 0; r < units.n_cells; ++r) {
    const Floats standardised = (of_row(strip, units.x, r) - mean) * inverse_sd;
    const Floats d_u = of_row(strip, d.x, r);
    put(d.x, place(strip, r), strip.n, slope * (d_u - (sum + standardised * product) * share));
  }
}

RSCVI_KERNEL_HELPER Strip strip_of(std::int64_t n_units, std::int64_t first, std::int64_t end) {
  const std::int64_t lanes = VectorOf<float>::lanes;
  return {n_units, first, end - first < lanes ? end - first : lanes};
}

RSCVI_KERNEL void unit_moments(std::int64_t n_cells, std::int64_t n_units, std::int64_t first, std::int64_t end,
                               const float* x, float* mean, float* variance) {
  for (; first < end; first += VectorOf<float>::lanes) {
    const Strip strip = strip_of(n_units, first, end);
    const Floats m = strip_mean(strip, n_cells, x);
    put(mean, first, strip.n, m);
    put(variance, first, strip.n, strip_variance(strip, n_cells, x, m));
  }
}

RSCVI_KERNEL void forward_units(const HiddenUnits& units, std::int64_t first, std::int64_t end, const float* bias,
                                const float* mask, float* y) {
  for (; first < end; first += VectorOf<float>::lanes) {
    strip_forward(strip_of(units.n_units, first, end), units, bias, mask, y);
  }
}

RSCVI_KERNEL void backward_units(const HiddenUnits& units, std::int64_t first, std::int64_t end,
                                 const UnitGradients& d) {
  for (; first < end; first += VectorOf<float>::lanes) strip_backward(strip_of(units.n_units, first, end), units, d);
}
