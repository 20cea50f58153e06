// ln P(0) over the genes of a cell whose count is 0, and its derivatives. A part of count_rows.inl.

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
