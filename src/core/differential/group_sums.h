// Sums of the raw counts of groups of cells, gene by gene: what tables show beside the model's statements.
#pragma once

#include <cstdint>
#include <vector>

namespace rscvi {

// A genes x cells matrix by compressed columns; the memory is somebody else's.
struct CountColumns {
  const std::int32_t *p, *i;
  const double* x;
  std::int64_t n_genes;
};

// Genes x groups, column-major.
struct GroupSums {
  std::vector<double> counts;      // of the counts
  std::vector<double> detected;    // number of cells with a count
  std::vector<double> normalised;  // of counts divided by the mean count of their cell; a cell without any has none
};

// Cell cells[k] (0-based) is of group[k]. A cell may come several times. One pass over the counts of these cells.
GroupSums group_sums(const CountColumns& columns, const std::vector<std::int64_t>& cells,
                     const std::vector<std::int64_t>& group, std::int64_t n_groups);

}  // namespace rscvi
