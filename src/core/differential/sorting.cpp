#include "core/differential/sorting.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace rscvi {
namespace {

constexpr int digit_bits = 11;
constexpr std::size_t n_buckets = std::size_t{1} << digit_bits;
constexpr std::size_t radix_from = 256;  // below, comparisons are faster

template <class T>
struct KeyType;
template <>
struct KeyType<double> {
  using type = std::uint64_t;
};
template <>
struct KeyType<float> {
  using type = std::uint32_t;
};
template <class T>
using Key = typename KeyType<T>::type;

template <class T>
constexpr Key<T> sign_bit() {
  return Key<T>{1} << (8 * sizeof(T) - 1);
}

// Unsigned integers in the order of the numbers: negative ones have all bits flipped, others the sign bit.
template <class T>
Key<T> to_key(T value) {
  Key<T> bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits & sign_bit<T>() ? ~bits : bits | sign_bit<T>();
}

template <class T>
T from_key(Key<T> key) {
  const Key<T> bits = key & sign_bit<T>() ? key & ~sign_bit<T>() : ~key;
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Sorts by `2 * digit_bits` of the bits that come after `shift` others; all keys are below 2^(shift + 2 * digit_bits).
template <class K>
void sort_by_leading_bits(std::vector<K>& keys, int shift) {
  std::array<std::array<std::uint32_t, n_buckets>, 2> starts{};
  const auto digit = [shift](K key, int which) {
    return static_cast<std::size_t>(key >> (shift + which * digit_bits)) & (n_buckets - 1);
  };
  for (const K key : keys) {
    ++starts[0][digit(key, 0)];
    ++starts[1][digit(key, 1)];
  }
  std::vector<K> buffer(keys.size());
  for (int which = 0; which < 2; ++which) {
    std::uint32_t start = 0;
    for (std::uint32_t& count : starts[which]) {
      const std::uint32_t here = count;
      count = start;
      start += here;
    }
    for (const K key : keys) buffer[starts[which][digit(key, which)]++] = key;
    keys.swap(buffer);
  }
}

// What is left to do for keys that agree in their leading bits: they are few and near each other, or else all are
// compared.
template <class K>
void finish_by_insertion(std::vector<K>& keys) {
  std::size_t moves_left = 16 * keys.size();
  for (std::size_t k = 1; k < keys.size(); ++k) {
    const K key = keys[k];
    std::size_t at = k;
    while (at > 0 && keys[at - 1] > key) {
      keys[at] = keys[at - 1];
      --at;
    }
    keys[at] = key;
    if (k - at > moves_left) {
      std::sort(keys.begin(), keys.end());
      return;
    }
    moves_left -= k - at;
  }
}

template <class T>
void sort_any(std::vector<T>& values) {
  if (values.size() < radix_from) {
    std::sort(values.begin(), values.end());
    return;
  }
  std::vector<Key<T>> keys(values.size());
  const std::size_t n = values.size();
  const T* from = values.data();
  Key<T>* key = keys.data();
  Key<T> least = ~Key<T>{0}, most = 0;
#pragma omp simd reduction(min : least) reduction(max : most)
  for (std::size_t k = 0; k < n; ++k) {
    key[k] = to_key(from[k]);
    least = key[k] < least ? key[k] : least;
    most = key[k] > most ? key[k] : most;
  }
  const Key<T> range = most - least;
  // Scales lie close together: the bits that they have in common go, so that the leading ones tell them apart.
#pragma omp simd
  for (std::size_t k = 0; k < n; ++k) key[k] -= least;
  int shift = 0;
  while ((range >> shift) >> (2 * digit_bits) != 0) ++shift;
  sort_by_leading_bits(keys, shift);
  if (shift > 0) finish_by_insertion(keys);
  key = keys.data();  // the buffers have changed places
  T* to = values.data();
#pragma omp simd
  for (std::size_t k = 0; k < n; ++k) to[k] = from_key<T>(key[k] + least);
}

}  // namespace

void sort_values(std::vector<double>& values) { sort_any(values); }
void sort_values(std::vector<float>& values) { sort_any(values); }

}  // namespace rscvi
