#include "core/model/start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/errors.h"

namespace rscvi {
namespace {

constexpr double smallest_log_theta = -7, largest_log_theta = 5;
constexpr std::int64_t cells_at_a_time = 1024;

// Hands out the counts of all cells, one at a time: see(cell, genes, values, number of them).
template <class See>
void for_each_cell(const CellSource& counts, See&& see) {
  CsrBlock block;
  std::vector<std::int64_t> cells;
  for (std::int64_t first = 0; first < counts.n_cells(); first += cells_at_a_time) {
    cells.resize(std::min(cells_at_a_time, counts.n_cells() - first));
    std::iota(cells.begin(), cells.end(), first);
    counts.read(cells.data(), static_cast<std::int64_t>(cells.size()), block);
    for (std::size_t r = 0; r < cells.size(); ++r) {
      const std::int64_t start = block.indptr[r];
      see(cells[r], block.gene.data() + start, block.value.data() + start, block.indptr[r + 1] - start);
    }
  }
}

// Of a group of cells; the vectors gene by gene. N: the number of counts of a cell.
struct Sums {
  explicit Sums(std::int64_t n_genes) : x(n_genes), square(n_genes), times_total(n_genes) {}

  void add(const std::int32_t* gene, const float* value, std::int64_t n) {
    const double of_cell = std::accumulate(value, value + n, 0.0);
    total += of_cell;
    total_square += of_cell * of_cell;
    for (std::int64_t k = 0; k < n; ++k) {
      const double v = value[k];
      x[gene[k]] += v;
      square[gene[k]] += v * v;
      times_total[gene[k]] += v * of_cell;
    }
  }

  std::vector<double> x, square, times_total;  // sums of x, x^2, x N
  double total = 0, total_square = 0;          // of N, N^2
};

// NaN for a gene without counts.
double log_theta(const Sums& sums, std::int64_t gene) {
  if (!(sums.x[gene] > 0)) return std::nan("");
  const double share = sums.x[gene] / sums.total;
  const double mean_square = share * share * sums.total_square;
  const double squared_deviation = sums.square[gene] - 2 * share * sums.times_total[gene] + mean_square;
  const double excess = squared_deviation - sums.x[gene];
  if (!(excess > 0)) return largest_log_theta;
  return std::clamp(std::log(mean_square / excess), smallest_log_theta, largest_log_theta);
}

double mean_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void start_dispersion(VaeImpl& model, const Dataset& dataset) {
  const VaeOptions& options = model.options();
  const bool by_batch = options.dispersion == Dispersion::gene_batch;
  const bool by_label = options.dispersion == Dispersion::gene_label;
  const std::vector<std::int64_t> everyone(dataset.n_cells(), 0);
  const at::Tensor start = moment_log_dispersion(
      *dataset.counts, by_batch ? dataset.batch : by_label ? dataset.label : everyone,
      by_batch ? options.n_batch : by_label ? options.n_labels : 1);
  const at::Tensor px_r = model.named_parameters()["px_r"];
  px_r.copy_(start.view(px_r.sizes()));
}

// softmax(biases) are the genes' shares of all counts; a gene without counts gets that of half a count.
void start_scale(VaeImpl& model, const Dataset& dataset) {
  std::vector<double> count(dataset.n_genes(), 0.0);
  for_each_cell(*dataset.counts, [&](std::int64_t, const std::int32_t* gene, const float* value, std::int64_t n) {
    for (std::int64_t k = 0; k < n; ++k) count[gene[k]] += value[k];
  });
  const at::Tensor logit = at::tensor(count, at::kDouble).clamp_min(0.5).log();
  model.named_parameters()["decoder.px_scale_decoder.0.bias"].copy_(logit - logit.mean());
}

void start_library(VaeImpl& model, const Dataset& dataset) {
  auto parameters = model.named_parameters();
  // The mean of a residual is 0 already.
  if (model.options().library == Library::latent) {
    parameters["l_encoder.mean_encoder.bias"].fill_(mean_of(dataset.local_mean));
  }
  parameters["l_encoder.var_encoder.bias"].fill_(std::log(mean_of(dataset.local_var)));
}

}  // namespace

at::Tensor moment_log_dispersion(const CellSource& counts, const std::vector<std::int64_t>& group,
                                 std::int64_t n_groups) {
  const std::int64_t n_genes = counts.n_genes();
  Sums all(n_genes);
  std::vector<Sums> sums(n_groups, Sums(n_genes));
  for_each_cell(counts, [&](std::int64_t cell, const std::int32_t* gene, const float* value, std::int64_t n) {
    all.add(gene, value, n);
    if (group[cell] >= 0) sums[group[cell]].add(gene, value, n);
  });

  at::Tensor out = at::zeros({n_genes, n_groups}, at::kFloat);
  auto value = out.accessor<float, 2>();
  for (std::int64_t g = 0; g < n_genes; ++g) {
    const double overall = log_theta(all, g);
    for (std::int64_t k = 0; k < n_groups; ++k) {
      const double own = log_theta(sums[k], g);
      const double known = std::isnan(own) ? overall : own;
      value[g][k] = std::isnan(known) ? 0.0f : static_cast<float>(known);
    }
  }
  return out;
}

void start_from_data(VaeImpl& model, const Dataset& dataset) {
  const VaeOptions& options = model.options();
  if (dataset.n_genes() != options.n_input) {
    throw InvalidArgument("the model has " + std::to_string(options.n_input) + " genes, the data set " +
                          std::to_string(dataset.n_genes()));
  }
  const auto require = [](const char* what, std::int64_t wanted, std::int64_t given) {
    if (given <= wanted) return;
    throw InvalidArgument(std::string("the model has ") + std::to_string(wanted) + " " + what + ", the data set " +
                          std::to_string(given));
  };
  if (options.dispersion == Dispersion::gene_batch) require("batches", options.n_batch, dataset.n_batch);
  if (options.dispersion == Dispersion::gene_label) require("labels", options.n_labels, dataset.n_labels);
  const at::NoGradGuard no_grad;
  if (options.dispersion_start == DispersionStart::moments) start_dispersion(model, dataset);
  if (options.library_start == LibraryStart::prior) start_library(model, dataset);
  if (options.scale_start == ScaleStart::shares) start_scale(model, dataset);
}

}  // namespace rscvi
