#include "core/differential/pairs.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "core/base/errors.h"
#include "core/base/random.h"

namespace rscvi {
namespace {

std::vector<std::int64_t> all_of(std::int64_t n) {
  std::vector<std::int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

std::vector<std::int64_t> rows_of(const std::vector<std::int64_t>& batch, std::int64_t which) {
  std::vector<std::int64_t> rows;
  for (std::size_t k = 0; k < batch.size(); ++k) {
    if (batch[k] == which) rows.push_back(static_cast<std::int64_t>(k));
  }
  return rows;
}

}  // namespace

std::vector<Stratum> strata_of(const std::vector<std::int64_t>& batch1, const std::vector<std::int64_t>& batch2,
                               std::int64_t n1, std::int64_t n2) {
  const std::set<std::int64_t> levels1(batch1.begin(), batch1.end()), levels2(batch2.begin(), batch2.end());
  if (levels1.empty() || levels1 != levels2) return {{all_of(n1), all_of(n2)}};
  std::vector<Stratum> strata;
  for (const std::int64_t level : levels1) strata.push_back({rows_of(batch1, level), rows_of(batch2, level)});
  return strata;
}

Pairs elementwise_pairs(const std::vector<Stratum>& strata) {
  Pairs pairs;
  for (const Stratum& stratum : strata) {
    if (stratum.first.size() != stratum.second.size()) {
      throw InvalidArgument("the two populations have " + std::to_string(stratum.first.size()) + " and " +
                            std::to_string(stratum.second.size()) +
                            " samples; without permutation they must have as many: use use_permutation = TRUE");
    }
    pairs.first.insert(pairs.first.end(), stratum.first.begin(), stratum.first.end());
    pairs.second.insert(pairs.second.end(), stratum.second.begin(), stratum.second.end());
  }
  return pairs;
}

Pairs random_pairs(const std::vector<Stratum>& strata, std::int64_t n_pairs, RandomStream& random) {
  Pairs pairs;
  const std::int64_t per_stratum = n_pairs / static_cast<std::int64_t>(strata.size());
  if (per_stratum < 1) throw InvalidArgument("M_permutation must be at least the number of batches");
  const auto draw = [&](const std::vector<std::int64_t>& rows, std::vector<std::int64_t>& out) {
    for (const std::int64_t k : random.integers(per_stratum, static_cast<std::int64_t>(rows.size()))) {
      out.push_back(rows[k]);
    }
  };
  for (const Stratum& stratum : strata) {
    draw(stratum.first, pairs.first);
    draw(stratum.second, pairs.second);
  }
  return pairs;
}

}  // namespace rscvi
