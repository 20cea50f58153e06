// Kernels for vector_math_test.cpp.

template <class T>
RSCVI_KERNEL void exp_all(const T* x, std::int64_t n, T* out) {
  constexpr int lanes = VectorOf<T>::lanes;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    store_some(out + k, here, exp_of(load_some<typename VectorOf<T>::type>(x + k, here, T(1))));
  }
}

template <class T>
RSCVI_KERNEL void log_all(const T* x, std::int64_t n, T* out) {
  constexpr int lanes = VectorOf<T>::lanes;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    store_some(out + k, here, log_of(load_some<typename VectorOf<T>::type>(x + k, here, T(1))));
  }
}

template <class T>
RSCVI_KERNEL void log1p_all(const T* x, std::int64_t n, T* out) {
  constexpr int lanes = VectorOf<T>::lanes;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    store_some(out + k, here, log1p_of(load_some<typename VectorOf<T>::type>(x + k, here, T(1))));
  }
}

template <class T>
RSCVI_KERNEL double log_of_product(const T* x, std::int64_t n) {
  constexpr int lanes = VectorOf<T>::lanes;
  LogOfProduct<T> product;
  for (std::int64_t k = 0; k < n; k += lanes) {
    const std::int64_t here = n - k < lanes ? n - k : lanes;
    LogOfProduct<T>::multiply(product, load_some<typename VectorOf<T>::type>(x + k, here, T(1)));
  }
  return LogOfProduct<T>::value(product);
}
