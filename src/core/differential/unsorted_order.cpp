#include "core/differential/unsorted_order.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace rscvi {
namespace {

using Key = std::int32_t;

constexpr int bucket_bits = 12;
constexpr std::size_t n_buckets = std::size_t{1} << bucket_bits;
constexpr std::size_t window = 8;            // samples of a bucket that are looked at without asking how many there are
constexpr std::size_t most_neighbours = 64;  // in the bucket of a sample, on average over all
constexpr Key highest = std::numeric_limits<Key>::max();

// Whole numbers in the order of the floats; both zeros have the same.
Key to_key(float value) {
  const float without_sign = value + 0.0f;  // of -0
  Key bits;
  std::memcpy(&bits, &without_sign, sizeof bits);
  return bits ^ ((bits >> 31) & highest);
}

struct Range {
  Key least = highest, most = std::numeric_limits<Key>::min();
};

void fill_keys(const std::vector<float>& values, Key* keys, Range& range) {
  const std::size_t n = values.size();
  const float* from = values.data();
  Key least = range.least, most = range.most;
#pragma omp simd reduction(min : least) reduction(max : most)
  for (std::size_t k = 0; k < n; ++k) {
    keys[k] = to_key(from[k]);
    least = keys[k] < least ? keys[k] : least;
    most = keys[k] > most ? keys[k] : most;
  }
  range = {least, most};
}

// Where the samples of each bucket begin, and where the last ends.
using Starts = std::array<std::uint32_t, n_buckets + 1>;

class Buckets {
 public:
  explicit Buckets(const Range& range) : least_(static_cast<std::uint32_t>(range.least)) {
    while (((static_cast<std::uint32_t>(range.most) - least_) >> shift_) >= n_buckets) ++shift_;
  }
  std::size_t operator()(Key key) const { return (static_cast<std::uint32_t>(key) - least_) >> shift_; }

 private:
  std::uint32_t least_;
  int shift_ = 0;
};

// The keys, bucket by bucket; behind them, enough of the highest for a window.
std::vector<Key> in_buckets(const std::vector<Key>& keys, std::size_t n, const Buckets& bucket, Starts& starts) {
  starts.fill(0);
  for (std::size_t k = 0; k < n; ++k) ++starts[bucket(keys[k]) + 1];
  for (std::size_t b = 0; b < n_buckets; ++b) starts[b + 1] += starts[b];
  Starts next = starts;
  std::vector<Key> out(n + window, highest);
  for (std::size_t k = 0; k < n; ++k) out[next[bucket(keys[k])]++] = keys[k];
  return out;
}

}  // namespace

std::optional<std::int64_t> count_above_unsorted(const std::vector<float>& x, const std::vector<float>& y) {
  if (x.empty() || y.empty()) return 0;
  std::vector<Key> keys_x(x.size()), keys_y(y.size());
  Range range;
  fill_keys(x, keys_x.data(), range);
  fill_keys(y, keys_y.data(), range);
  const Key infinite = to_key(std::numeric_limits<float>::infinity());
  if (range.most >= infinite || range.least <= to_key(-std::numeric_limits<float>::infinity())) return std::nullopt;

  const Buckets bucket(range);
  Starts starts;
  const std::vector<Key> ordered = in_buckets(keys_y, y.size(), bucket, starts);
  std::size_t neighbours = 0;
  std::int64_t count = 0;
  for (const Key key : keys_x) {
    const std::size_t b = bucket(key), start = starts[b], end = starts[b + 1];
    const Key* from = ordered.data() + start;
    // Those beyond the bucket are larger, and add nothing.
    std::int32_t below = 0;
    for (std::size_t k = 0; k < window; ++k) below += from[k] < key ? 1 : 0;
    if (end - start > window) {
      neighbours += end - start;
      if (neighbours > most_neighbours * x.size()) return std::nullopt;
      for (std::size_t k = start + window; k < end; ++k) below += ordered[k] < key ? 1 : 0;
    }
    count += static_cast<std::int64_t>(start) + below;
  }
  return count;
}

}  // namespace rscvi
