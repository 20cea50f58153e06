// The passes of count_rows.h; see base/for_each_target.inl.

// e^x for x <= 0, and 0 where that is too small a number for exp_of(). NaN stays.
template <class T, class V>
RSCVI_KERNEL_HELPER V exp_or_zero(V x) {
  constexpr T smallest = sizeof(T) == sizeof(float) ? T(-87) : T(-708);
  return x < smallest ? V{} : exp_of(x) + (x - x);
}

// A number near the largest of some numbers, and the sum of exp(number - that).
template <class T>
struct SumOfExponentials {
  T shift, sum;
};

// The largest of logit + bias.
template <class T>
RSCVI_KERNEL_HELPER T largest_of(std::int64_t n, const T* logits, const T* bias) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  V top = V{} + std::numeric_limits<T>::lowest();
  for (std::int64_t g = 0; g < n; g += lanes) {
    const std::int64_t here = n - g < lanes ? n - g : lanes;
    top = larger(top, part<V>(logits, g, here, std::numeric_limits<T>::lowest()) + part<V>(bias, g, here, T(0)));
  }
  T lanes_of_top[lanes];
  store(lanes_of_top, top);
  T largest = lanes_of_top[0];
  for (const T value : lanes_of_top) largest = value > largest ? value : largest;
  return largest;
}

// exp(logit + bias - shift) to `share`, which may be `logits` itself; their sum. Any shift near the largest will do.
template <class T>
RSCVI_KERNEL_HELPER T exponentials_with(T shift, std::int64_t n, const T* logits, const T* bias, T* share) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  const std::int64_t whole = n - n % lanes, rest = n - whole;
  V sum = V{};
  for (std::int64_t g = 0; g < whole; g += lanes) {
    const V value = exp_or_zero<T>(load<V>(logits + g) + load<V>(bias + g) - shift);
    store(share + g, value);
    sum += value;
  }
  double total = sum_of_lanes<T>(sum);
  if (rest > 0) {
    const V logit = part<V>(logits, whole, rest, shift) + part<V>(bias, whole, rest, T(0));
    store_some(share + whole, rest, exp_or_zero<T>(logit - shift));
    for (std::int64_t g = whole; g < n; ++g) total += static_cast<double>(share[g]);
  }
  return static_cast<T>(total);
}

// The same with the largest for a shift.
template <class T>
RSCVI_KERNEL_HELPER SumOfExponentials<T> exponentials(std::int64_t n, const T* logits, const T* bias, T* share) {
  const T largest = largest_of(n, logits, bias);
  return {largest, exponentials_with(largest, n, logits, bias, share)};
}

// In one pass over memory, for a `share` that is not `logits`: the largest of the first numbers is near enough
// unless the sum says otherwise, or is NaN.
template <class T>
RSCVI_KERNEL_HELPER SumOfExponentials<T> exponentials_at_once(std::int64_t n, const T* logits, const T* bias,
                                                             T* share) {
  constexpr std::int64_t looked_at = 128;
  constexpr T largest_sum = T(1e25);
  const T shift = largest_of(n < looked_at ? n : looked_at, logits, bias);
  const T sum = exponentials_with(shift, n, logits, bias, share);
  return sum < largest_sum ? SumOfExponentials<T>{shift, sum} : exponentials(n, logits, bias, share);
}

template <class T>
RSCVI_KERNEL T log_sum_exp(std::int64_t n, T* logits, const T* bias) {
  const SumOfExponentials<T> found = exponentials(n, logits, bias, logits);
  return found.shift + std::log(found.sum);
}

template <class T>
RSCVI_KERNEL void shares(std::int64_t n, T log_normaliser, T* logits) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  for (std::int64_t g = 0; g < n; g += lanes) {
    const std::int64_t here = n - g < lanes ? n - g : lanes;
    put(logits, g, here, exp_or_zero<T>(part<V>(logits, g, here, T(0)) - log_normaliser));
  }
}

template <class T>
RSCVI_KERNEL void softmax(std::int64_t n, T* logits, const T* bias) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  const T inverse = 1 / exponentials(n, logits, bias, logits).sum;
  for (std::int64_t g = 0; g < n; g += lanes) {
    const std::int64_t here = n - g < lanes ? n - g : lanes;
    put(logits, g, here, part<V>(logits, g, here, T(0)) * inverse);
  }
}

template <class T>
RSCVI_KERNEL void prepare_theta(const T* log_theta, std::int64_t n_genes, ThetaRow<T>& out) {
  typedef typename VectorOf<T>::type V;
  constexpr int lanes = VectorOf<T>::lanes;
  out.theta.resize(n_genes);
  out.inverse.resize(n_genes);
  for (std::int64_t g = 0; g < n_genes; g += lanes) {
    const std::int64_t n = n_genes - g < lanes ? n_genes - g : lanes;
    const V theta = larger(exp_of(load_some<V>(log_theta + g, n, T(0))), V{} + static_cast<T>(count_detail::tiny));
    store_some(out.theta.data() + g, n, theta);
    store_some(out.inverse.data() + g, n, 1 / (theta + static_cast<T>(count_detail::eps)));
  }
}

// Beyond these the probability of a zero is 1 to the last digit, whatever they are exactly; within them no product of
// two denominators overflows a float.
constexpr float largest_ratio = 1e20f, largest_dropout = 40.0f;

// Sums over the genes whose count is 0.
struct ZeroSums {
  double value = 0, d_log_mu = 0;
};

// Without zero inflation: one vector of genes, and all of them.
template <CountFamily family, bool with_derivatives, class T>
RSCVI_KERNEL_HELPER void zero_step(const CountRow<T>& row, const CountScratch<T>& scratch, T factor, std::int64_t g,
                                   std::int64_t n, typename VectorOf<T>::type& value,
                                   typename VectorOf<T>::type& slope) {
  typedef typename VectorOf<T>::type V;
  const V is_zero = part<V>(scratch.is_zero.data(), g, n, T(0));
  const V mu = part<V>(scratch.share.data(), g, n, T(0)) * factor;
  if (family == CountFamily::poisson) {
    value -= mu * is_zero;
    if (with_derivatives) {
      put(row.d_logits, g, n, -mu);
      slope -= mu * is_zero;
    }
    return;
  }
  const V theta = part<V>(row.theta->theta.data(), g, n, T(1));
  const V inverse = part<V>(row.theta->inverse.data(), g, n, T(1));
  const V ratio = smaller(mu * inverse, V{} + largest_ratio), q = log1p_of(ratio);
  value -= theta * q * is_zero;
  if (!with_derivatives) return;
  const V share = theta * inverse / (ratio + 1), d_log_mu = -mu * share;
  put(row.d_logits, g, n, d_log_mu);
  put(row.d_log_theta, g, n, theta * (share * ratio - q));
  slope += d_log_mu * is_zero;
}

template <CountFamily family, bool with_derivatives, class T>
RSCVI_KERNEL_HELPER ZeroSums zero_pass(const CountRow<T>& row, const CountScratch<T>& scratch, T factor) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  V value = V{}, slope = V{};
  const std::int64_t whole = row.n_genes - row.n_genes % lanes;
  for (std::int64_t g = 0; g < whole; g += lanes) {
    zero_step<family, with_derivatives>(row, scratch, factor, g, lanes, value, slope);
  }
  if (whole < row.n_genes) {
    zero_step<family, with_derivatives>(row, scratch, factor, whole, row.n_genes - whole, value, slope);
  }
  return {sum_of_lanes<T>(value), sum_of_lanes<T>(slope)};
}

// With it, P(0) = drop + keep (1 + mu / theta)^-theta, with drop = sigmoid(pi) and keep = 1 - drop. What that is made
// of, for a stretch of genes: ln(1 + mu / theta), (1 + mu / theta)^-theta and e^pi. In a loop each: a logarithm and an
// exponential wait for each other, and a processor does not look far enough ahead to do the next genes' meanwhile.
template <class T>
struct ZeroParts {
  static constexpr std::int64_t stretch = 16 * VectorOf<T>::lanes;
  T log_ratio1[stretch], not_drawn[stretch], odds[stretch];
};

template <class T>
RSCVI_KERNEL_HELPER void fill_zero_parts(const CountRow<T>& row, const CountScratch<T>& scratch, T factor,
                                         std::int64_t first, std::int64_t end, ZeroParts<T>& parts) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  for (std::int64_t g = first, k = 0; g < end; g += lanes, k += lanes) {
    const std::int64_t n = end - g < lanes ? end - g : lanes;
    const V mu = part<V>(scratch.share.data(), g, n, T(0)) * factor;
    const V ratio = smaller(mu * part<V>(row.theta->inverse.data(), g, n, T(1)), V{} + largest_ratio);
    const V q = log1p_of(ratio);
    store(parts.log_ratio1 + k, q);
    store(parts.not_drawn + k, -part<V>(row.theta->theta.data(), g, n, T(1)) * q);
  }
  for (std::int64_t g = first, k = 0; g < end; g += lanes, k += lanes) {
    const std::int64_t n = end - g < lanes ? end - g : lanes;
    const V dropout = part<V>(row.dropout, g, n, T(0)) + part<V>(row.dropout_bias, g, n, T(0));
    store(parts.odds + k, exp_of(smaller(dropout, V{} + largest_dropout)));
  }
  for (std::int64_t k = 0; k < end - first; k += lanes) {
    store(parts.not_drawn + k, exp_of(load<V>(parts.not_drawn + k)));
  }
}

// The values alone: numerators and denominators are multiplied apart, without a division.
template <class T>
RSCVI_KERNEL_HELPER double inflated_zero_values(const CountRow<T>& row, const CountScratch<T>& scratch, T factor) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes, stretch = ZeroParts<T>::stretch;
  LogOfProduct<T> numerators, denominators;
  ZeroParts<T> parts;
  for (std::int64_t first = 0; first < row.n_genes; first += stretch) {
    const std::int64_t end = row.n_genes - first < stretch ? row.n_genes : first + stretch;
    fill_zero_parts(row, scratch, factor, first, end, parts);
    for (std::int64_t g = first, k = 0; g < end; g += lanes, k += lanes) {
      const auto is_zero = part<V>(scratch.is_zero.data(), g, end - g < lanes ? end - g : lanes, T(0)) != 0;
      const V odds = load<V>(parts.odds + k);
      LogOfProduct<T>::multiply(numerators, is_zero ? odds + load<V>(parts.not_drawn + k) : V{} + 1);
      LogOfProduct<T>::multiply(denominators, is_zero ? odds + 1 : V{} + 1);
    }
  }
  return LogOfProduct<T>::value(numerators) - LogOfProduct<T>::value(denominators);
}

// And the derivatives of ln P(0), for every gene.
template <class T>
RSCVI_KERNEL_HELPER ZeroSums inflated_zero_pass(const CountRow<T>& row, const CountScratch<T>& scratch, T factor) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes, stretch = ZeroParts<T>::stretch;
  LogOfProduct<T> product;
  V slope = V{};
  ZeroParts<T> parts;
  for (std::int64_t first = 0; first < row.n_genes; first += stretch) {
    const std::int64_t end = row.n_genes - first < stretch ? row.n_genes : first + stretch;
    fill_zero_parts(row, scratch, factor, first, end, parts);
    for (std::int64_t g = first, k = 0; g < end; g += lanes, k += lanes) {
      const std::int64_t n = end - g < lanes ? end - g : lanes;
      const V is_zero = part<V>(scratch.is_zero.data(), g, n, T(0));
      const V mu = part<V>(scratch.share.data(), g, n, T(0)) * factor;
      const V theta = part<V>(row.theta->theta.data(), g, n, T(1));
      const V inverse = part<V>(row.theta->inverse.data(), g, n, T(1));
      const V ratio = smaller(mu * inverse, V{} + largest_ratio), u = ratio + 1;
      const V odds = load<V>(parts.odds + k), odds1 = odds + 1;
      const V both = 1 / (u * odds1), keep = both * u;
      const V not_dropped = keep * load<V>(parts.not_drawn + k);  // and a zero all the same
      const V probability = odds * keep + not_dropped;
      const V weight = not_dropped / probability;
      const V share = theta * inverse * (both * odds1), d_log_mu = -mu * share * weight;
      LogOfProduct<T>::multiply(product, is_zero != 0 ? probability : V{} + 1);
      put(row.d_logits, g, n, d_log_mu);
      put(row.d_log_theta, g, n, theta * (share * ratio - load<V>(parts.log_ratio1 + k)) * weight);
      put(row.d_dropout, g, n, keep - weight);
      slope += d_log_mu * is_zero;
    }
  }
  return {LogOfProduct<T>::value(product), sum_of_lanes<T>(slope)};
}

// Positive counts -----------------------------------------------------------------------------------------------

// Columns of the scratch memory, one element a positive count: what is the same for every draw of a cell, what a draw
// adds, what comes out.
enum PositiveColumn {
  count, dispersion, inverse_dispersion, bias_of_dropout, constant, product, digamma,
  rate, dropout_logit,
  value, d_log_rate, d_log_dispersion, d_dropout_logit,
  n_columns
};

// A product of theta + k over k < this many takes part in ln Gamma(theta + x) - ln Gamma(theta); Stirling's series,
// exact to 1e-12 from here on, takes the rest.
constexpr int product_up_to = 8;
// Above this theta, the product does not overflow a float, and scvi's eps = 1e-8 changes ln theta by less than 1e-4.
constexpr float small_theta = 1e-4f;

// ln Gamma(theta + x) - ln Gamma(theta) - x ln theta = ln(product) + log_rest, and digamma(theta + x) - digamma(theta).
template <class V>
struct RisingTerms {
  V product, log_rest, digamma;
};

// For whole x. F = prod_{k < min(x, 8)} (1 + k v) with v = 1 / theta, and its derivative by v.
template <class V>
RSCVI_KERNEL_HELPER RisingTerms<V> rising_terms(V v, V x) {
  V f = V{} + 1, slope = V{};
  V k = V{} + 1;
  for (int step = 1; step < product_up_to; ++step) {
    const V factor = v * k + 1;
    slope = x > k ? slope * factor + f * k : slope;
    f = x > k ? f * factor : f;
    k += 1;
  }
  return {f, V{}, v * (smaller(x, V{} + product_up_to) - v * slope / f)};  // sum_{k < x} 1 / (theta + k)
}

RSCVI_KERNEL_HELPER Doubles stirling_tail_of(Doubles z) {
  const Doubles v = 1.0 / z, w = v * v;
  return (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188))))) * v;
}

RSCVI_KERNEL_HELPER Doubles digamma_tail_of(Doubles z) {
  const Doubles v = 1.0 / z, w = v * v;
  return v * -0.5 - w * (1.0 / 12 - w * (1.0 / 120 - w * (1.0 / 252 - w * (1.0 / 240 - w * (1.0 / 132)))));
}

// What is left over of counts above 8.
RSCVI_KERNEL_HELPER void add_large(Doubles theta, Doubles x, RisingTerms<Doubles>& terms) {
  const Doubles z = theta + double{product_up_to}, gap = larger(x - double{product_up_to}, Doubles{}), y = z + gap;
  const Doubles growth = log1p_of(gap / z);
  terms.log_rest += (y - 0.5) * growth - gap + gap * log1p_of(double{product_up_to} / theta) + stirling_tail_of(y) -
                    stirling_tail_of(z);
  terms.digamma += growth + digamma_tail_of(y) - digamma_tail_of(z);
}
RSCVI_KERNEL_HELPER void add_large(Floats, Floats, RisingTerms<Floats>&) {}  // not for floats

// ln(1 + eps / theta): for the theta of floats its series will do.
RSCVI_KERNEL_HELPER Doubles log_eps_share(Doubles v) { return log1p_of(v * count_detail::eps); }
RSCVI_KERNEL_HELPER Floats log_eps_share(Floats v) { return v * static_cast<float>(count_detail::eps); }

// One vector of positive counts, what does not depend on mu and pi: of their log-likelihood `constant` + ln `product`.
// Floats: whole counts up to 8, theta from 1e-4.
template <CountFamily family, bool with_derivatives, class V, class T>
RSCVI_KERNEL_HELPER void prepare_step(T* at, std::int64_t stride) {
  if (family == CountFamily::poisson) return;  // ln x! is there
  const V x = load<V>(at + stride * count), r = load<V>(at + stride * dispersion), v = 1 / r;
  RisingTerms<V> rising = rising_terms(v, x);
  if (sizeof(T) == sizeof(double)) add_large(r, x, rising);
  store(at + stride * constant, load<V>(at + stride * constant) + rising.log_rest - x * log_eps_share(v));
  store(at + stride * product, rising.product);
  if (with_derivatives) store(at + stride * digamma, rising.digamma);
}

// The log-likelihood of a vector of positive counts is value + ln(product).
template <class V>
struct PositiveTerms {
  V value, product;
};

// One vector of them, derivatives to their columns.
template <CountFamily family, bool with_derivatives, class V, class T>
RSCVI_KERNEL_HELPER PositiveTerms<V> positive_step(T* at, std::int64_t stride) {
  const V x = load<V>(at + stride * count), m = load<V>(at + stride * rate);
  const V start = load<V>(at + stride * constant);
  if (family == CountFamily::poisson) {
    const V safe = larger(m, V{} + static_cast<T>(count_detail::tiny));
    if (with_derivatives) store(at + stride * d_log_rate, x - m);
    return {x * log_of(safe) - safe + start, V{} + 1};
  }
  constexpr T eps = static_cast<T>(count_detail::eps);
  const V r = load<V>(at + stride * dispersion), m_eps = m + eps;
  constexpr T most = sizeof(T) == sizeof(float) ? T(1e38) : T(1e300);  // log1p_of() goes no further
  const V ratio = smaller(m * load<V>(at + stride * inverse_dispersion), V{} + most), q = log1p_of(ratio);
  PositiveTerms<V> out = {x * log_of(m_eps) - (r + x) * q + start, load<V>(at + stride * product)};
  if (with_derivatives) {
    const V inverse_s = 1 / (r + eps + m);
    const V by_mu = x / m_eps - (r + x) * inverse_s;
    const V by_theta = (r * ratio - x) * inverse_s - q + load<V>(at + stride * digamma);
    store(at + stride * d_log_rate, m * by_mu);
    store(at + stride * d_log_dispersion, r * by_theta);
  }
  if (family == CountFamily::zinb) {
    const V pi = load<V>(at + stride * dropout_logit);
    const V small = exp_of(pi < 0 ? pi : -pi), inverse = 1 / (small + 1);
    out.value -= larger(pi, V{});
    out.product *= inverse;
    if (with_derivatives) store(at + stride * d_dropout_logit, -(pi < 0 ? small * inverse : inverse));
  }
  return out;
}

// The positive counts of a row that are computed in numbers of one type.
template <class T>
struct PositiveColumns {
  T* data;
  std::int64_t stride;
  std::int32_t* place;  // the gene of each
  std::int64_t& n;
};

template <class T>
RSCVI_KERNEL_HELPER PositiveColumns<T> usual_columns(CountScratch<T>& scratch) {
  return {scratch.usual.data(), scratch.stride, scratch.place.data(), scratch.n_usual};
}

template <class T>
RSCVI_KERNEL_HELPER PositiveColumns<double> special_columns(CountScratch<T>& scratch) {
  return {scratch.special.data(), scratch.stride, scratch.place.data() + scratch.stride, scratch.n_special};
}

template <CountFamily family, class T, class U>
RSCVI_KERNEL_HELPER void append_positive(const CountRow<T>& row, std::int32_t g, float x,
                                         const PositiveColumns<U>& to) {
  U* at = to.data + to.n;
  at[to.stride * count] = x;
  at[to.stride * constant] = -static_cast<U>(log_factorial(x));
  if (family != CountFamily::poisson) {
    const U theta = row.theta->theta[g];
    at[to.stride * dispersion] = theta;
    const U inverse = 1 / (theta + static_cast<U>(count_detail::eps));
    at[to.stride * inverse_dispersion] = sizeof(U) == sizeof(T) ? static_cast<U>(row.theta->inverse[g]) : inverse;
  }
  if (family == CountFamily::zinb) at[to.stride * bias_of_dropout] = row.dropout_bias[g];
  to.place[to.n++] = g;
}

// Whole vectors: the last one is filled up with something harmless.
template <class T>
RSCVI_KERNEL_HELPER void fill_up(const PositiveColumns<T>& columns) {
  for (std::int64_t k = columns.n; k < columns.stride && k % VectorOf<T>::lanes != 0; ++k) {
    T* at = columns.data + k;
    for (const auto column : {count, rate, dispersion, inverse_dispersion}) at[columns.stride * column] = 1;
    for (const auto column : {constant, dropout_logit}) at[columns.stride * column] = 0;
  }
}

template <CountFamily family, bool with_derivatives, class T>
RSCVI_KERNEL_HELPER void prepare_columns(const PositiveColumns<T>& columns) {
  typedef typename VectorOf<T>::type V;
  fill_up(columns);
  for (std::int64_t k = 0; k < columns.n; k += VectorOf<T>::lanes) {
    prepare_step<family, with_derivatives, V>(columns.data + k, columns.stride);
  }
}

// Sorts the positive counts into those that T is good for and those that need double, and marks their genes.
template <CountFamily family, bool with_derivatives, class T>
RSCVI_KERNEL_HELPER void prepare_row(const CountRow<T>& row, CountScratch<T>& scratch) {
  constexpr std::int64_t most_lanes = RSCVI_VECTOR_BYTES / 4;
  if (static_cast<std::int64_t>(scratch.is_zero.size()) != row.n_genes) scratch.is_zero.assign(row.n_genes, T(1));
  const std::int64_t stride = row.n_stored + most_lanes;
  if (scratch.stride < stride) {
    scratch.stride = stride;
    scratch.usual.resize(stride * n_columns);
    scratch.special.resize(stride * n_columns);
    scratch.place.resize(2 * stride);
  }
  scratch.n_usual = scratch.n_special = 0;
  const PositiveColumns<T> usual = usual_columns(scratch);
  const PositiveColumns<double> special = special_columns(scratch);
  for (std::int64_t k = 0; k < row.n_stored; ++k) {
    const float x = row.count[k];
    if (!(x > 0)) continue;  // an explicit zero
    const std::int32_t g = row.gene[k];
    scratch.is_zero[g] = 0;
    const bool is_usual = x <= product_up_to && x == static_cast<float>(static_cast<std::int32_t>(x)) &&
                          (family == CountFamily::poisson || row.theta->theta[g] > static_cast<T>(small_theta));
    if (is_usual) {
      append_positive<family>(row, g, x, usual);
    } else {
      append_positive<family>(row, g, x, special);
    }
  }
  prepare_columns<family, with_derivatives>(usual);
  prepare_columns<family, with_derivatives>(special);
}

// A count that is no whole number has no product; it goes through the scalar kernel.
template <CountFamily family>
RSCVI_KERNEL_HELPER void correct_fraction(double* at, std::int64_t stride) {
  const double x = at[stride * count], m = at[stride * rate];
  if (x == static_cast<double>(static_cast<std::int64_t>(x))) return;
  const double r = at[stride * dispersion], pi = at[stride * dropout_logit];
  CountTerm<double> term;
  if (family == CountFamily::zinb) term = ZeroInflatedNegativeBinomialKernel::evaluate(x, m, r, pi);
  if (family == CountFamily::nb) term = NegativeBinomialKernel::evaluate(x, m, r, pi);
  if (family == CountFamily::poisson) term = PoissonKernel::evaluate(x, m, r, pi);
  at[stride * value] = term.value;
  at[stride * d_log_rate] = m * term.d_mu;
  at[stride * d_log_dispersion] = r * term.d_theta;
  at[stride * d_dropout_logit] = term.d_pi;
}

// The first n lanes, the others `rest`.
template <class V, class T>
RSCVI_KERNEL_HELPER V first_lanes(V v, std::int64_t n, T rest) {
  T lanes[sizeof(V) / sizeof(T)];
  store(lanes, v);
  return load_some<V>(lanes, n, rest);
}

// Adds the values of a draw to the sum; derivatives to their columns. In float all lanes at once: values are added up,
// a few vectors at a time lest sums lose what single values have, and products multiplied, of which one logarithm is
// taken in the end.
template <CountFamily family, bool with_derivatives>
RSCVI_KERNEL_HELPER void add_values(const PositiveColumns<float>& columns, double& sum) {
  constexpr std::int64_t lanes = VectorOf<float>::lanes, at_once = 16 * lanes;
  LogOfProduct<float> products;
  for (std::int64_t first = 0; first < columns.n; first += at_once) {
    const std::int64_t end = columns.n - first < at_once ? columns.n : first + at_once;
    Floats values = Floats{};
    for (std::int64_t k = first; k < end; k += lanes) {
      PositiveTerms<Floats> terms = positive_step<family, with_derivatives, Floats>(columns.data + k, columns.stride);
      if (columns.n - k < lanes) {
        terms.value = first_lanes(terms.value, columns.n - k, 0.0f);
        terms.product = first_lanes(terms.product, columns.n - k, 1.0f);
      }
      values += terms.value;
      if (family != CountFamily::poisson) LogOfProduct<float>::multiply(products, terms.product);
    }
    sum += sum_of_lanes<float>(values);
  }
  if (family != CountFamily::poisson) sum += LogOfProduct<float>::value(products);
}

// In double one by one: some may be no whole numbers.
template <CountFamily family, bool with_derivatives>
RSCVI_KERNEL_HELPER void add_values(const PositiveColumns<double>& columns, double& sum) {
  const std::int64_t stride = columns.stride;
  for (std::int64_t k = 0; k < columns.n; k += VectorOf<double>::lanes) {
    const PositiveTerms<Doubles> terms =
        positive_step<family, with_derivatives, Doubles>(columns.data + k, stride);
    store(columns.data + stride * value + k, terms.value + log_of(terms.product));
  }
  for (std::int64_t k = 0; k < columns.n; ++k) {
    correct_fraction<family>(columns.data + k, stride);
    sum += columns.data[stride * value + k];
  }
}

// A draw's mu and pi for the positive counts, their values and slopes to the sums, and their derivatives to the row.
template <CountFamily family, bool with_derivatives, class T, class U>
RSCVI_KERNEL_HELPER void add_positive(const PositiveColumns<U>& columns, const CountScratch<T>& scratch, T factor,
                                      CountRow<T>& row, ZeroSums& sums) {
  const std::int64_t stride = columns.stride, n = columns.n;
  const std::int32_t* place = columns.place;
  U *rates = columns.data + stride * rate, *logits = columns.data + stride * dropout_logit;
  const U* bias = columns.data + stride * bias_of_dropout;
  for (std::int64_t k = 0; k < n; ++k) rates[k] = static_cast<U>(scratch.share[place[k]]) * static_cast<U>(factor);
  if (family == CountFamily::zinb) {
    for (std::int64_t k = 0; k < n; ++k) logits[k] = static_cast<U>(row.dropout[place[k]]) + bias[k];
  }
  add_values<family, with_derivatives>(columns, sums.value);
  if (!with_derivatives) return;
  for (std::int64_t k = 0; k < n; ++k) {
    const U* at = columns.data + k;
    const std::int32_t g = place[k];
    sums.d_log_mu += static_cast<double>(at[stride * d_log_rate]);
    row.d_logits[g] = static_cast<T>(at[stride * d_log_rate]);
    if (family != CountFamily::poisson) row.d_log_theta[g] = static_cast<T>(at[stride * d_log_dispersion]);
    if (family == CountFamily::zinb) row.d_dropout[g] = static_cast<T>(at[stride * d_dropout_logit]);
  }
}

// All of it -----------------------------------------------------------------------------------------------------------

template <CountFamily family, bool with_derivatives, class T>
RSCVI_KERNEL_HELPER double evaluate_row(CountRow<T>& row, CountScratch<T>& scratch) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  scratch.share.resize(row.n_genes);
  const T total = exponentials_at_once(row.n_genes, row.logits, row.logits_bias, scratch.share.data()).sum;
  const T factor = std::exp(row.log_library) / total;
  const T none = factor - factor;  // 0; NaN where the library or a logit is not finite, which what follows would hide
  ZeroSums sums;
  if (family != CountFamily::zinb) {
    sums = zero_pass<family, with_derivatives>(row, scratch, factor);
  } else if (with_derivatives) {
    sums = inflated_zero_pass(row, scratch, factor);
  } else {
    sums.value = inflated_zero_values(row, scratch, factor);
  }
  add_positive<family, with_derivatives>(usual_columns(scratch), scratch, factor, row, sums);
  add_positive<family, with_derivatives>(special_columns(scratch), scratch, factor, row, sums);
  sums.value += static_cast<double>(none);
  if (!with_derivatives) return sums.value;
  // Through the softmax: d/d logit = d/d ln mu - rho * (sum of d/d ln mu).
  row.d_log_library = static_cast<T>(sums.d_log_mu);
  const T back = static_cast<T>(sums.d_log_mu / static_cast<double>(total));
  const std::int64_t whole = row.n_genes - row.n_genes % lanes;
  for (std::int64_t g = 0; g < whole; g += lanes) {
    store(row.d_logits + g, load<V>(row.d_logits + g) - load<V>(scratch.share.data() + g) * back);
  }
  for (std::int64_t g = whole; g < row.n_genes; ++g) row.d_logits[g] -= scratch.share[g] * back;
  return sums.value;
}

template <class T>
RSCVI_KERNEL void prepare(CountFamily family, const CountRow<T>& row, CountScratch<T>& scratch) {
  const bool derivatives = row.d_logits != nullptr;
  switch (family) {
    case CountFamily::zinb:
      return derivatives ? prepare_row<CountFamily::zinb, true>(row, scratch)
                         : prepare_row<CountFamily::zinb, false>(row, scratch);
    case CountFamily::nb:
      return derivatives ? prepare_row<CountFamily::nb, true>(row, scratch)
                         : prepare_row<CountFamily::nb, false>(row, scratch);
    default:
      return derivatives ? prepare_row<CountFamily::poisson, true>(row, scratch)
                         : prepare_row<CountFamily::poisson, false>(row, scratch);
  }
}

template <class T>
RSCVI_KERNEL void forget(CountScratch<T>& scratch) {
  const PositiveColumns<T> usual = usual_columns(scratch);
  for (std::int64_t k = 0; k < usual.n; ++k) scratch.is_zero[usual.place[k]] = 1;
  const PositiveColumns<double> special = special_columns(scratch);
  for (std::int64_t k = 0; k < special.n; ++k) scratch.is_zero[special.place[k]] = 1;
}

template <class T>
RSCVI_KERNEL double evaluate(CountFamily family, CountRow<T>& row, CountScratch<T>& scratch) {
  const bool derivatives = row.d_logits != nullptr;
  switch (family) {
    case CountFamily::zinb:
      return derivatives ? evaluate_row<CountFamily::zinb, true>(row, scratch)
                         : evaluate_row<CountFamily::zinb, false>(row, scratch);
    case CountFamily::nb:
      return derivatives ? evaluate_row<CountFamily::nb, true>(row, scratch)
                         : evaluate_row<CountFamily::nb, false>(row, scratch);
    default:
      return derivatives ? evaluate_row<CountFamily::poisson, true>(row, scratch)
                         : evaluate_row<CountFamily::poisson, false>(row, scratch);
  }
}

// For the backward pass --------------------------------------------------------------------------------------------

template <class T>
RSCVI_KERNEL void scale_and_add(T by, std::int64_t n, T* row, T* sum) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    const V scaled = part<V>(row, k, here, T(0)) * by;
    put(row, k, here, scaled);
    put(sum, k, here, part<V>(sum, k, here, T(0)) + scaled);
  }
}

template <class T>
RSCVI_KERNEL void add_scaled(T by, std::int64_t n, const T* row, T* sum) {
  typedef typename VectorOf<T>::type V;
  constexpr std::int64_t lanes = VectorOf<T>::lanes;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    put(sum, k, here, part<V>(sum, k, here, T(0)) + part<V>(row, k, here, T(0)) * by);
  }
}
