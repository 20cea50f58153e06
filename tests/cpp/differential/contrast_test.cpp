#include "core/differential/contrast.h"

#include <cmath>
#include <limits>
#include <random>

#include "core/base/errors.h"
#include "core/base/random.h"
#include "differential/brute_force.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

constexpr double exact = 1e-12;
constexpr std::int64_t n1 = 40, n2 = 31, n_genes = 20;  // more genes than one thread takes at a time

// Positive scales, gene after gene; those of odd genes have many ties.
struct Scales {
  std::vector<double> first = draw(n1, 1), second = draw(n2, 2);
  ScaleMatrix scale1{first.data(), n1, n_genes}, scale2{second.data(), n2, n_genes};

  static std::vector<double> draw(std::int64_t n, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::gamma_distribution<double> gamma(2, 0.5);
    std::vector<double> values(n * n_genes);
    for (std::int64_t k = 0; k < n * n_genes; ++k) {
      values[k] = gamma(engine) + 0.01;
      if (k / n % 2 == 1) values[k] = std::ceil(values[k] * 2) / 2;
    }
    return values;
  }
};

ContrastOptions change(double delta, double pseudocount, const std::vector<double>& levels = {}) {
  ContrastOptions options;
  options.change = true;
  options.delta = delta;
  options.pseudocount = pseudocount;
  options.levels = levels;
  return options;
}

std::vector<double> logs(const double* scale, const std::vector<std::int64_t>& rows, double pseudocount) {
  std::vector<double> values;
  for (const std::int64_t row : rows) values.push_back(std::log2(scale[row] + pseudocount));
  return values;
}

PairContrast of_gene(const GeneContrast& gene) {
  return {gene.above,    gene.up,      gene.down,       gene.outside, gene.lfc.mean,
          gene.lfc.std, gene.lfc.median, gene.lfc.min, gene.lfc.max};
}

std::vector<std::int64_t> alternating_batches(std::int64_t n) {
  std::vector<std::int64_t> batch;
  for (std::int64_t k = 0; k < n; ++k) batch.push_back(k % 3);
  return batch;
}

}  // namespace

TEST_CASE("contrast: all pairs within strata, gene by gene, are what forming them gives") {
  const Scales s;
  const auto one = strata_of({}, {}, n1, n2);
  const auto three = strata_of(alternating_batches(n1), alternating_batches(n2), n1, n2);
  for (const auto& strata : {one, three}) {
    for (const double pseudocount : {0.0, 0.3}) {
      const auto found = contrast_strata(s.scale1, s.scale2, strata, Pairs(), change(0.5, pseudocount));
      REQUIRE(found.size() == n_genes);
      for (std::int64_t g = 0; g < n_genes; ++g) {
        std::vector<SortedSides> sides;
        for (const Stratum& stratum : strata) {
          sides.push_back({logs(s.scale1.gene(g), stratum.first, pseudocount),
                           logs(s.scale2.gene(g), stratum.second, pseudocount)});
        }
        CHECK(largest_difference(of_gene(found[g]), contrast_by_hand(sides, 0.5)) < exact);
      }
    }
  }
}

TEST_CASE("contrast: given pairs, their shares and the summary of their changes") {
  const Scales s;
  RandomStream random(3);
  const Pairs pairs = random_pairs(strata_of({}, {}, n1, n2), 501, random);
  const std::vector<GeneContrast> found = contrast_pairs(s.scale1, s.scale2, pairs, change(0.4, 0.1, {0.9}));
  for (std::int64_t g = 0; g < n_genes; ++g) {
    std::vector<double> r;
    std::int64_t above = 0, up = 0, down = 0;
    for (std::int64_t k = 0; k < pairs.size(); ++k) {
      const double s1 = s.scale1.gene(g)[pairs.first[k]], s2 = s.scale2.gene(g)[pairs.second[k]];
      r.push_back(std::log2(s1 + 0.1) - std::log2(s2 + 0.1));
      above += s1 > s2;
      up += r.back() >= 0.4;
      down += r.back() <= -0.4;
    }
    const double n = 501;
    CHECK(found[g].above == static_cast<double>(above) / n);
    CHECK(found[g].up == static_cast<double>(up) / n);
    CHECK(found[g].down == static_cast<double>(down) / n);
    CHECK(found[g].outside == static_cast<double>(up + down) / n);
    const Summary summary = summarise(r, {0.9});
    CHECK(found[g].lfc.mean == summary.mean);
    CHECK(found[g].lfc.median == summary.median);
    CHECK(found[g].lfc.intervals[0].min == summary.intervals[0].min);
    CHECK(found[g].lfc.intervals[0].max == summary.intervals[0].max);
  }
}

TEST_CASE("contrast: intervals of all pairs come from the pairs given for them, the rest does not") {
  const Scales s;
  const std::vector<Stratum> strata = strata_of({}, {}, n1, n2);
  RandomStream random(4);
  const Pairs pairs = random_pairs(strata, 300, random);
  const auto all = contrast_strata(s.scale1, s.scale2, strata, pairs, change(0.5, 0, {0.5}));
  const auto none = contrast_strata(s.scale1, s.scale2, strata, Pairs(), change(0.5, 0));
  const auto some = contrast_pairs(s.scale1, s.scale2, pairs, change(0.5, 0, {0.5}));
  for (std::int64_t g = 0; g < n_genes; ++g) {
    CHECK(largest_difference(of_gene(all[g]), of_gene(none[g])) == 0);
    CHECK(all[g].lfc.intervals[0].min == some[g].lfc.intervals[0].min);
    CHECK(all[g].lfc.intervals[0].max == some[g].lfc.intervals[0].max);
    CHECK(none[g].lfc.intervals.empty());
  }
}

TEST_CASE("contrast: without change, the share above alone") {
  const Scales s;
  const std::vector<Stratum> strata = strata_of({}, {}, n1, n2);
  const auto vanilla = contrast_strata(s.scale1, s.scale2, strata, Pairs(), ContrastOptions());
  const auto full = contrast_strata(s.scale1, s.scale2, strata, Pairs(), change(0.5, 0));
  for (std::int64_t g = 0; g < n_genes; ++g) {
    CHECK(vanilla[g].above == full[g].above);
    CHECK(vanilla[g].lfc.max == 0);
  }
}

TEST_CASE("contrast: of decoded scales, P(scale1 > scale2) over all pairs is what sorting gives, crowded or infinite") {
  std::mt19937_64 engine(3);
  std::gamma_distribution<double> gamma(2, 0.5);
  constexpr std::int64_t n = 900, genes = 9;
  std::vector<float> first(n * genes), second(n * genes);
  for (float& value : first) value = static_cast<float>(gamma(engine));
  for (float& value : second) value = static_cast<float>(gamma(engine));
  for (std::int64_t k = 0; k < n; ++k) first[k] = second[k] = 1;  // gene 0 crowds
  second[7] = 1e30F;
  first[n + 3] = std::numeric_limits<float>::infinity();  // gene 1
  const std::vector<double> wide1(first.begin(), first.end()), wide2(second.begin(), second.end());
  const std::vector<Stratum> strata = strata_of(alternating_batches(n), alternating_batches(n), n, n);
  REQUIRE(strata.size() == 3);
  const DecodedScales scale1{first.data(), n, genes}, scale2{second.data(), n, genes};
  const ScaleMatrix sorted1{wide1.data(), n, genes}, sorted2{wide2.data(), n, genes};
  const auto found = contrast_strata(scale1, scale2, strata, {}, ContrastOptions());
  const auto expected = contrast_strata(sorted1, sorted2, strata, {}, ContrastOptions());
  for (std::int64_t g = 0; g < genes; ++g) CHECK(found[g].above == doctest::Approx(expected[g].above).epsilon(1e-14));
}
