// Vectors of one register's size, and the functions of them that likelihoods need; see for_each_target.inl. They are of
// the compiler's vector extensions (GCC, clang), whose arithmetic works lane by lane.
//
// exp, log, log1p: within 2 units in the last place over the ranges given, tested against the standard library's. They
// are branchless, and say nothing of NaN: whoever calls them has looked for it.

typedef float Floats __attribute__((vector_size(RSCVI_VECTOR_BYTES)));
typedef double Doubles __attribute__((vector_size(RSCVI_VECTOR_BYTES)));
typedef std::int32_t Ints32 __attribute__((vector_size(RSCVI_VECTOR_BYTES)));
typedef std::int64_t Ints64 __attribute__((vector_size(RSCVI_VECTOR_BYTES)));

// The vector of a type of number, and of integers of that size.
template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef Floats type;
  typedef Ints32 ints;
  static constexpr int lanes = RSCVI_VECTOR_BYTES / 4;
};
template <>
struct VectorOf<double> {
  typedef Doubles type;
  typedef Ints64 ints;
  static constexpr int lanes = RSCVI_VECTOR_BYTES / 8;
};

template <class V, class T>
RSCVI_KERNEL_HELPER V load(const T* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class V, class T>
RSCVI_KERNEL_HELPER void store(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}

// The first n lanes, the others `rest`.
template <class V, class T>
RSCVI_KERNEL_HELPER V load_some(const T* from, std::int64_t n, T rest) {
  T lanes[sizeof(V) / sizeof(T)];
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(sizeof(V) / sizeof(T)); ++k) lanes[k] = k < n ? from[k] : rest;
  return load<V>(lanes);
}

template <class V, class T>
RSCVI_KERNEL_HELPER void store_some(T* to, std::int64_t n, V v) {
  T lanes[sizeof(V) / sizeof(T)];
  store(lanes, v);
  for (std::int64_t k = 0; k < n; ++k) to[k] = lanes[k];
}

// Numbers k .. k + n - 1 of a row, n up to the number of lanes. Whole vectors are read and written as such.
template <class V, class T>
RSCVI_KERNEL_HELPER V part(const T* from, std::int64_t k, std::int64_t n, T rest) {
  constexpr std::int64_t lanes = sizeof(V) / sizeof(T);
  return n == lanes ? load<V>(from + k) : load_some<V>(from + k, n, rest);
}

template <class V, class T>
RSCVI_KERNEL_HELPER void put(T* to, std::int64_t k, std::int64_t n, V v) {
  constexpr std::int64_t lanes = sizeof(V) / sizeof(T);
  if (n == lanes) {
    store(to + k, v);
  } else {
    store_some(to + k, n, v);
  }
}

template <class V>
RSCVI_KERNEL_HELPER V larger(V a, V b) {
  return a > b ? a : b;
}

template <class V>
RSCVI_KERNEL_HELPER V smaller(V a, V b) {
  return a < b ? a : b;
}

#if RSCVI_VECTOR_BYTES == 64
// One instruction each, which the compiler does not find: it takes a comparison and a choice.
RSCVI_KERNEL_HELPER Floats larger(Floats a, Floats b) {
  return reinterpret_cast<Floats>(_mm512_max_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}

RSCVI_KERNEL_HELPER Floats smaller(Floats a, Floats b) {
  return reinterpret_cast<Floats>(_mm512_min_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}
#endif

RSCVI_KERNEL_HELPER Floats square_root(Floats v) {
#if RSCVI_VECTOR_BYTES == 64
  return reinterpret_cast<Floats>(_mm512_sqrt_ps(reinterpret_cast<__m512>(v)));
#elif RSCVI_VECTOR_BYTES == 32
  return reinterpret_cast<Floats>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(__SSE__)
  return reinterpret_cast<Floats>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
#else
  float lanes[VectorOf<float>::lanes];
  store(lanes, v);
  for (float& lane : lanes) lane = __builtin_sqrtf(lane);
  return load<Floats>(lanes);
#endif
}

// Sum of the lanes, in double.
template <class T, class V>
RSCVI_KERNEL_HELPER double sum_of_lanes(V v) {
  T lanes[sizeof(V) / sizeof(T)];
  store(lanes, v);
  double sum = 0;
  for (const T lane : lanes) sum += static_cast<double>(lane);
  return sum;
}

// p 2^whole, for a whole number in [-126, 127].
RSCVI_KERNEL_HELPER Floats scaled(Floats p, Floats whole) {
#if RSCVI_VECTOR_BYTES == 64
  return reinterpret_cast<Floats>(_mm512_scalef_ps(reinterpret_cast<__m512>(p), reinterpret_cast<__m512>(whole)));
#else
  return p * reinterpret_cast<Floats>((__builtin_convertvector(whole, Ints32) + 127) << 23);
#endif
}

// e^x for |x| up to 87; beyond, what it is there. x = n ln 2 + r, and e^r by Taylor's series of degree 6 (Cephes).
RSCVI_KERNEL_HELPER Floats exp_of(Floats x) {
  x = smaller(larger(x, Floats{} - 87.0f), Floats{} + 87.0f);
  const Floats round = Floats{} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const Floats whole = (x * 1.44269504f + round) - round;
  const Floats r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.0f;
  return scaled(p, whole);
}

// The same for |x| up to 708, of degree 13.
RSCVI_KERNEL_HELPER Doubles exp_of(Doubles x) {
  x = smaller(larger(x, Doubles{} - 708.0), Doubles{} + 708.0);
  const Doubles round = Doubles{} + 6755399441055744.0;  // 1.5 * 2^52
  const Doubles shifted = x * 1.4426950408889634 + round;
  const Ints64 n = reinterpret_cast<Ints64>(shifted) - 0x4338000000000000;
  const Doubles whole = shifted - round;
  const Doubles r = (x - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
  Doubles p = r * (1.0 / 6227020800) + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = (p * r) * r + r + 1.0;
  return p * reinterpret_cast<Doubles>((n + 1023) << 52);
}

// ln(2^exponent (1 + f)) for f in [sqrt(1/2) - 1, sqrt(2) - 1) (Cephes).
RSCVI_KERNEL_HELPER Floats log_from_parts(Floats f, Floats exponent) {
  const Floats square = f * f;
  Floats p = f * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const Floats tail = (f * square) * p - exponent * 2.12194440e-4f - square * 0.5f;
  return (f + tail) + exponent * 0.693359375f;
}

// The n of x = 2^n m with m in [sqrt(1/2), sqrt(2)), for a normal x > 0.
RSCVI_KERNEL_HELPER Ints32 exponent_of(Floats x) { return (reinterpret_cast<Ints32>(x) - 0x3f3504f3) >> 23; }

// ln x for a normal x > 0.
RSCVI_KERNEL_HELPER Floats log_of(Floats x) {
  const Ints32 n = exponent_of(x);
  const Floats m = reinterpret_cast<Floats>(reinterpret_cast<Ints32>(x) - (n << 23));
  return log_from_parts(m - 1.0f, __builtin_convertvector(n, Floats));
}

// The same, with s = f / (2 + f): ln(1 + f) = 2 atanh(s) (the series of fdlibm).
RSCVI_KERNEL_HELPER Doubles log_of(Doubles x) {
  const Ints64 bits = reinterpret_cast<Ints64>(x);
  const Ints64 n = (bits - 0x3fe6a09e667f3bcd) >> 52;
  const Doubles f = reinterpret_cast<Doubles>(bits - (n << 52)) - 1.0;
  const Doubles exponent = __builtin_convertvector(n, Doubles);
  const Doubles s = f / (f + 2.0), z = s * s;
  Doubles p = z * 1.479819860511658591e-01 + 1.531383769920937332e-01;
  p = p * z + 1.818357216161805012e-01;
  p = p * z + 2.222219843214978396e-01;
  p = p * z + 2.857142874366239149e-01;
  p = p * z + 3.999999999940941908e-01;
  p = p * z + 6.666666666666735130e-01;
  const Doubles half_square = f * f * 0.5;
  const Doubles tail = s * (half_square + p * z) + exponent * 1.90821492927058770002e-10;
  return exponent * 6.93147180369123816490e-01 - ((half_square - tail) - f);
}

// ln(1 + x) for x >= 0, up to 1e38. With 1 + x = 2^n m, m - 1 = 2^-n x + (2^-n - 1), rounded but once where it matters.
RSCVI_KERNEL_HELPER Floats log1p_of(Floats x) {
  const Ints32 n = exponent_of(x + 1.0f);
  const Floats scale = reinterpret_cast<Floats>((Ints32{} + (127 << 23)) - (n << 23));
  return log_from_parts(x * scale + (scale - 1.0f), __builtin_convertvector(n, Floats));
}

// The logarithm of the rounded sum, and what rounding lost.
RSCVI_KERNEL_HELPER Doubles log1p_of(Doubles x) {
  const Doubles u = x + 1.0;
  return log_of(u) + (x - (u - 1.0)) / u;
}

// Product of many positive numbers, lane by lane: mantissas are multiplied, exponents added, so that neither under- nor
// overflow can happen, and one logarithm is taken in the end.
template <class T>
struct LogOfProduct;

template <>
struct LogOfProduct<float> {
  Floats mantissa = Floats{} + 1.0f;
  Ints32 exponent = Ints32{};

  RSCVI_KERNEL_HELPER void multiply(LogOfProduct& product, Floats by) {
    const Ints32 bits = reinterpret_cast<Ints32>(product.mantissa * by);
    product.exponent += (bits >> 23) - 127;
    product.mantissa = reinterpret_cast<Floats>((bits & 0x007fffff) | 0x3f800000);
  }
  RSCVI_KERNEL_HELPER double value(const LogOfProduct& product) {
    return sum_of_lanes<float>(log_of(product.mantissa)) +
           0.69314718055994530942 * sum_of_lanes<std::int32_t>(product.exponent);
  }
};

template <>
struct LogOfProduct<double> {
  Doubles mantissa = Doubles{} + 1.0;
  Ints64 exponent = Ints64{};

  RSCVI_KERNEL_HELPER void multiply(LogOfProduct& product, Doubles by) {
    const Ints64 bits = reinterpret_cast<Ints64>(product.mantissa * by);
    product.exponent += (bits >> 52) - 1023;
    product.mantissa = reinterpret_cast<Doubles>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  }
  RSCVI_KERNEL_HELPER double value(const LogOfProduct& product) {
    return sum_of_lanes<double>(log_of(product.mantissa)) +
           0.69314718055994530942 * sum_of_lanes<std::int64_t>(product.exponent);
  }
};
