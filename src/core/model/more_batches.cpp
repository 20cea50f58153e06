#include "core/model/more_batches.h"

#include <ATen/ATen.h>

#include <numeric>

#include "core/base/errors.h"
#include "core/model/make_model.h"
#include "core/model/state.h"

namespace rscvi {
namespace {

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }
bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Where a parameter has its columns of batches.
struct BatchBlock {
  std::int64_t start = 0, n = 0;
};

// Nothing for a parameter that has none, and would have none with more batches.
std::optional<BatchBlock> batch_block(const VaeOptions& options, const std::string& name, const at::Tensor& parameter) {
  if (name == "px_r" && options.dispersion == Dispersion::gene_batch) return BatchBlock{0, options.n_batch};
  const bool of_encoder = starts_with(name, "z_encoder.") || starts_with(name, "l_encoder.");
  const bool sees_batches = starts_with(name, "decoder.") || (options.encode_covariates && of_encoder);
  const bool is_layer = name.find(".fc_layers.Layer ") != std::string::npos && ends_with(name, ".0.weight");
  if (!sees_batches || !is_layer) return std::nullopt;
  // Behind the batches' come the columns of labels, which the library's encoder lacks, and of further covariates.
  auto behind = static_cast<std::int64_t>(options.continuous.size());
  for (const std::int64_t n : options.n_categories) behind += n_columns(n);
  if (options.type == ModelType::vaec && !starts_with(name, "l_encoder.")) behind += n_columns(options.n_labels);
  const std::int64_t n = n_columns(options.n_batch);
  return BatchBlock{parameter.size(1) - behind - n, n};
}

// The parameter with columns for n_new batches more.
at::Tensor grown(const at::Tensor& parameter, const BatchBlock& block, std::int64_t n_batch, std::int64_t n_new) {
  const std::int64_t end = block.start + block.n;
  at::Tensor known = parameter.narrow(1, block.start, block.n);
  // A single batch has no columns; with another beside it it has, and they are 0 for its cells to be as before.
  if (block.n == 0) known = at::zeros({parameter.size(0), n_batch}, parameter.options());
  const at::Tensor added = known.mean(1, /*keepdim=*/true).expand({parameter.size(0), n_new});
  return at::cat({parameter.narrow(1, 0, block.start), known, added,
                  parameter.narrow(1, end, parameter.size(1) - end)}, 1);
}

}  // namespace

Vae with_more_batches(const Vae& model, std::int64_t n_new) {
  const at::NoGradGuard no_grad;
  const VaeOptions& options = model->options();
  if (options.n_batch < 1) throw InvalidArgument("the model was built without batches, and can learn of none");
  if (n_new < 1) throw InvalidArgument("there must be at least one new batch");
  State state = copy_state(*model);
  for (auto& item : state) {
    const auto block = batch_block(options, item.first, item.second);
    if (block) item.second = grown(item.second, *block, options.n_batch, n_new);
  }
  VaeOptions more = options;
  more.n_batch += n_new;
  RandomStream unused(0);  // of weights that are replaced at once
  Vae out = make_model(more, unused);
  load_state(*out, state);
  out->eval();
  return out;
}

std::vector<Columns> columns_of_batches(const VaeImpl& model, std::int64_t first, std::int64_t n) {
  std::vector<Columns> out;
  for (const auto& item : live_state(model)) {
    const auto block = batch_block(model.options(), item.first, item.second);
    if (!block || block->n < first + n) continue;
    Columns columns{item.first, std::vector<std::int64_t>(n)};
    std::iota(columns.which.begin(), columns.which.end(), block->start + first);
    out.push_back(columns);
  }
  return out;
}

}  // namespace rscvi
