#include "helpers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "core/data/cell_source.h"
#include "core/model/make_model.h"
#include "core/training/trainer.h"

namespace rscvi::test {
namespace {

double largest(const at::Tensor& difference) {
  if (difference.numel() == 0) return 0;
  const double value = difference.max().item<double>();  // max() hands NaN on
  return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool has(const State& state, const std::string& name) {
  return std::any_of(state.begin(), state.end(), [&](const auto& item) { return item.first == name; });
}

// Mean and variance of log library size within each batch.
void set_library_prior(Dataset& dataset, const at::Tensor& x) {
  const at::Tensor log_total = x.sum(1).to(at::kDouble).log();
  const at::Tensor batch = at::tensor(dataset.batch, at::kLong);
  for (std::int64_t b = 0; b < dataset.n_batch; ++b) {
    const at::Tensor of_batch = log_total.masked_select(batch == b);
    const float mean = of_batch.mean().item<float>(), var = of_batch.var(/*unbiased=*/false).item<float>();
    for (std::size_t cell = 0; cell < dataset.batch.size(); ++cell) {
      if (dataset.batch[cell] != b) continue;
      dataset.local_mean[cell] = mean;
      dataset.local_var[cell] = var;
    }
  }
}

}  // namespace

double max_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return largest((a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs());
}

double max_relative_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  const at::Tensor wide = b.detach().to(at::kDouble);
  return largest((a.detach().to(at::kDouble) - wide).abs() / (1 + wide.abs()));
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  const at::Tensor left = a.detach().contiguous(), right = b.detach().contiguous();
  return std::memcmp(left.data_ptr(), right.data_ptr(), left.nbytes()) == 0;
}

bool same_bits(const State& a, const State& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& left, const auto& right) {
    return left.first == right.first && same_bits(left.second, right.second);
  });
}

std::vector<double> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
}

at::Tensor matrix(std::int64_t n_rows, const std::vector<float>& values) {
  return at::tensor(values, at::kFloat).view({n_rows, -1});
}

const at::Tensor& find(const State& state, const std::string& name) {
  for (const auto& item : state) {
    if (item.first == name) return item.second;
  }
  throw std::runtime_error("no tensor called '" + name + "'");
}

std::vector<std::string> names_of(const State& state) {
  std::vector<std::string> names;
  for (const auto& item : state) names.push_back(item.first);
  return names;
}

at::Tensor linear_by_hand(const State& state, const std::string& name, const at::Tensor& x) {
  return x.matmul(find(state, name + ".weight").t()) + find(state, name + ".bias");
}

at::Tensor block_by_hand(const State& state, const std::string& name, at::Tensor x, const at::Tensor& one_hot) {
  constexpr double batch_norm_eps = 0.001;
  for (int i = 0; has(state, name + ".fc_layers.Layer " + std::to_string(i) + ".0.weight"); ++i) {
    const std::string layer = name + ".fc_layers.Layer " + std::to_string(i);
    const at::Tensor h = linear_by_hand(state, layer + ".0", one_hot.defined() ? at::cat({x, one_hot}, 1) : x);
    const at::Tensor sd = at::sqrt(find(state, layer + ".1.running_var") + batch_norm_eps);
    const at::Tensor normalised = (h - find(state, layer + ".1.running_mean")) / sd;
    x = at::relu(normalised * find(state, layer + ".1.weight") + find(state, layer + ".1.bias"));
  }
  return x;
}

at::Tensor one_hot_columns(const at::Tensor& codes, std::int64_t n_categories) {
  return (codes.unsqueeze(1) == at::arange(n_categories)).to(at::kFloat);
}

at::Tensor classifier_by_hand(const State& state, const std::string& name, const at::Tensor& features) {
  const at::Tensor h = block_by_hand(state, name + ".classifier.0", features, at::Tensor());
  const at::Tensor odds = at::exp(linear_by_hand(state, name + ".classifier.1", h));
  return odds / odds.sum(1, /*keepdim=*/true);
}

std::shared_ptr<OwnedCounts> compress(const at::Tensor& dense) {
  const auto counts = std::make_shared<OwnedCounts>();
  counts->n_cells = dense.size(0);
  counts->n_genes = dense.size(1);
  counts->p.push_back(0);
  const std::vector<double> values = values_of(dense);
  for (std::int64_t k = 0; k < dense.numel(); ++k) {
    if (values[k] != 0) {
      counts->i.push_back(static_cast<std::int32_t>(k % counts->n_genes));
      counts->x.push_back(values[k]);
    }
    if ((k + 1) % counts->n_genes == 0) counts->p.push_back(static_cast<std::int32_t>(counts->x.size()));
  }
  return counts;
}

std::shared_ptr<const CellSource> source_of(const std::shared_ptr<OwnedCounts>& counts) {
  auto* source = new CompressedCells(counts->p.data(), counts->i.data(), counts->x.data(), counts->n_genes,
                                     counts->n_cells);
  return std::shared_ptr<const CellSource>(source, [counts](const CellSource* s) { delete s; });
}

Toy toy_data(std::int64_t n_cells, std::int64_t n_batch) {
  constexpr double rate_on = 8, rate_off = 0.7, batch_effect = 1.5;
  std::mt19937_64 engine(20240);
  Toy toy;
  toy.x = at::zeros({n_cells, toy_genes}, at::kFloat);
  toy.dataset = std::make_shared<Dataset>();
  Dataset& dataset = *toy.dataset;
  dataset.n_batch = n_batch;
  dataset.n_labels = toy_labels;
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    dataset.label.push_back(cell % toy_labels);
    dataset.batch.push_back((cell / toy_labels) % n_batch);
    const double size = 0.5 + static_cast<double>(cell % 7) / 6;
    for (std::int64_t gene = 0; gene < toy_genes; ++gene) {
      const bool on = gene / 4 == dataset.label[cell];
      const double effect = gene % 2 == 1 ? std::pow(batch_effect, static_cast<double>(dataset.batch[cell])) : 1.0;
      std::poisson_distribution<int> draw(size * effect * (on ? rate_on : rate_off));
      toy.x[cell][gene] = static_cast<float>(draw(engine));
    }
  }
  dataset.local_mean.resize(n_cells);
  dataset.local_var.resize(n_cells);
  set_library_prior(dataset, toy.x);
  toy.counts = compress(toy.x);
  dataset.counts = source_of(toy.counts);
  return toy;
}

Toy toy_data_with_covariates() {
  Toy toy = toy_data();
  const auto n_cells = toy.x.size(0);
  std::vector<std::int64_t> code(n_cells);
  std::vector<double> value(n_cells);
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    code[cell] = cell % 4;
    value[cell] = std::sin(cell);
  }
  toy.dataset->categorical = {code};
  toy.dataset->continuous = {value};
  return toy;
}

Cells cells_from(std::int64_t first, std::int64_t end) {
  Cells cells(end - first);
  std::iota(cells.begin(), cells.end(), first);
  return cells;
}

Minibatch minibatch_of(const Dataset& dataset, const Cells& cells) {
  return gather_minibatch(dataset, cells.data(), static_cast<std::int64_t>(cells.size()), CountsKind::observed,
                          c10::kCPU);
}

VaeOptions toy_options(std::int64_t n_batch) {
  VaeOptions options;
  options.n_input = toy_genes;
  options.n_batch = n_batch;
  options.n_labels = toy_labels;
  options.n_hidden = 8;
  options.n_latent = 3;
  return options;
}

VaeOptions toy_options_of(ModelType type, std::int64_t n_batch) {
  VaeOptions options = toy_options(n_batch);
  options.type = type;
  options.classifier.n_hidden = 6;
  return options;
}

Vae toy_model(const VaeOptions& options, std::uint64_t seed) {
  RandomStream random(seed);
  return make_model(options, random);
}

void scramble(const torch::nn::Module& module, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  RandomStream random(seed);
  for (const auto& item : live_state(module)) {
    if (!item.second.is_floating_point()) continue;
    const at::Tensor noise = random.normal(item.second.sizes(), c10::kCPU);
    if (ends_with(item.first, "running_var")) {
      item.second.detach().mul_(at::exp(0.5 * noise));
    } else {
      item.second.detach().add_(0.2 * noise);
    }
  }
}

Vae scrambled_model(const VaeOptions& options, std::uint64_t seed) {
  Vae model = toy_model(options, seed);
  scramble(*model, seed + 100);
  model->eval();
  return model;
}

Posterior posterior_of(const Vae& model, const Toy& toy, std::int64_t batch_size) {
  Posterior posterior;
  posterior.model = model;
  posterior.dataset = toy.dataset;
  posterior.cells = cells_from(0, toy.dataset->n_cells());
  posterior.batch_size = batch_size;
  return posterior;
}

void QuietMonitor::on_epoch(const EpochReport& report) {
  reports.push_back(report);
  if (after_epoch) after_epoch(report.epoch);
}

bool QuietMonitor::should_stop() {
  ++n_asked;
  if (before_minibatch) before_minibatch(n_asked);
  return n_asked == stop_at_;
}

TrainOptions quick_training(std::int64_t n_epochs) {
  TrainOptions options;
  options.n_epochs = n_epochs;
  options.optimiser.lr = 0.01;
  options.batch_size = 20;
  options.kl_warmup.epochs = std::nullopt;
  return options;
}

TrainOptions as_on_gpu(TrainOptions options, bool step_graph) {
  options.deferred_checks = true;
  options.optimiser.by_operators = true;
  options.largest_on_device = std::int64_t{1} << 20;
  options.step_graph = step_graph;
  return options;
}

Trained train_toy(const Toy& toy, const TrainOptions& options, std::uint64_t seed, const Cells& cells,
                  QuietMonitor* monitor) {
  QuietMonitor silent;
  Trained trained{toy_model(toy_options(toy.dataset->n_batch), seed), TrainResult()};
  trained.result = train(trained.model, toy.dataset, cells.empty() ? cells_from(0, toy.dataset->n_cells()) : cells,
                         options, RandomStream(seed), monitor == nullptr ? silent : *monitor);
  return trained;
}

}  // namespace rscvi::test
