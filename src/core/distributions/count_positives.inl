// ln P(x) of the counts x > 0 of a cell, and its derivatives. A part of count_rows.inl.

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
