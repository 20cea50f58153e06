#include "core/differential/group_sums.h"

namespace rscvi {

GroupSums group_sums(const CountColumns& columns, const std::vector<std::int64_t>& cells,
                     const std::vector<std::int64_t>& group, std::int64_t n_groups) {
  const std::int64_t n_genes = columns.n_genes;
  const auto size = static_cast<std::size_t>(n_genes * n_groups);
  GroupSums sums{std::vector<double>(size, 0), std::vector<double>(size, 0), std::vector<double>(size, 0)};
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const std::int32_t begin = columns.p[cells[k]], end = columns.p[cells[k] + 1];
    double total = 0;
    for (std::int32_t at = begin; at < end; ++at) total += columns.x[at];
    if (!(total > 0)) continue;
    const double factor = static_cast<double>(n_genes) / total;
    const std::int64_t first = group[k] * n_genes;
    for (std::int32_t at = begin; at < end; ++at) {
      const double x = columns.x[at];
      const std::int64_t to = first + columns.i[at];
      sums.counts[to] += x;
      sums.detected[to] += x > 0 ? 1 : 0;
      sums.normalised[to] += x * factor;
    }
  }
  return sums;
}

}  // namespace rscvi
