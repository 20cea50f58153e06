#include "core/api/dataset.h"

#include "core/api/tensors.h"
#include "core/data/corruption.h"
#include "core/data/split.h"

namespace rscvi::api {

std::vector<double> corrupt_counts(const double* x, std::int64_t n_stored, std::int64_t n_entries_total, double rate,
                                   const std::string& kind, std::uint64_t seed) {
  return translate_errors([&] {
    if (kind != "uniform" && kind != "binomial") {
      throw InvalidArgument("corruption must be \"uniform\" or \"binomial\", not \"" + kind + "\"");
    }
    RandomStream random(seed);
    return rscvi::corrupt_counts(x, n_stored, n_entries_total, rate,
                                 kind == "uniform" ? Corruption::uniform : Corruption::binomial, random);
  });
}

SplitCells split_cells(std::int64_t n, double train_size, std::optional<double> test_size, std::uint64_t seed) {
  return translate_errors([&] {
    RandomStream random(seed);
    Split split = rscvi::split_cells(n, train_size, test_size, random);
    return SplitCells{std::move(split.train), std::move(split.test), std::move(split.validation)};
  });
}

std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed) {
  return translate_errors([&] { return RandomStream(seed).split(stream::ordering).permutation(n); });
}

}  // namespace rscvi::api
