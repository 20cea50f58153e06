// Softmax over the genes of a cell, and what a likelihood needs of one. A part of count_rows.inl.

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
