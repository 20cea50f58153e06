// The passes of count_rows.h; see base/for_each_target.inl.

// In this order: positive counts are added to the sums over zeros.
#include "core/distributions/count_exponentials.inl"
#include "core/distributions/count_zeros.inl"

#include "core/distributions/count_positives.inl"

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
