#include "core/training/trainable.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/errors.h"

namespace rscvi {
namespace {

// "z_encoder" holds "z_encoder.mean_encoder.weight", but "classifier" not "classifier_groups.classifier.1.bias".
bool holds(const std::string& name, const std::string& tensor) {
  return tensor.compare(0, name.size(), name) == 0 && (tensor.size() == name.size() || tensor[name.size()] == '.');
}

bool is_named(const TrainedPart& part, const std::string& parameter) {
  return part.is_everything() || std::any_of(part.names.begin(), part.names.end(),
                                             [&](const std::string& name) { return holds(name, parameter); });
}

const Columns* columns_of(const TrainedPart& part, const std::string& parameter) {
  for (const Columns& columns : part.columns) {
    if (columns.parameter == parameter) return &columns;
  }
  return nullptr;
}

void check_names(const torch::nn::Module& module, const TrainedPart& part) {
  const std::vector<std::string> parameters = module.named_parameters().keys();
  for (const std::string& name : part.names) {
    const bool known = std::any_of(parameters.begin(), parameters.end(),
                                   [&](const std::string& parameter) { return holds(name, parameter); });
    if (!known) throw InvalidArgument("the model has no parameters called '" + name + "' that could be trained");
  }
  for (const Columns& columns : part.columns) {
    const bool known = std::find(parameters.begin(), parameters.end(), columns.parameter) != parameters.end();
    if (!known) throw InvalidArgument("the model has no parameter '" + columns.parameter + "' with columns to train");
  }
}

}  // namespace

Trainable::Trainable(std::shared_ptr<torch::nn::Module> module, const TrainedPart& part)
    : module_(std::move(module)), evaluate_frozen_(part.evaluate_frozen) {
  check_names(*module_, part);
  find_trained_modules(part);
  std::vector<std::pair<at::Tensor, bool>> wanted;
  for (const auto& item : module_->named_parameters()) {
    const at::Tensor& parameter = item.value();
    const bool named = is_named(part, item.key());
    const Columns* columns = named ? nullptr : columns_of(part, item.key());
    wanted.emplace_back(parameter, parameter.requires_grad() && (named || columns != nullptr));
    if (!wanted.back().second) continue;
    parameters_.push_back(parameter);
    if (columns != nullptr) partly_frozen_.push_back(partly_frozen(parameter, *columns));
  }
  // Nothing can fail from here on: what was changed is put back by the destructor alone.
  for (auto& item : wanted) {
    required_gradient_.emplace_back(item.first, item.first.requires_grad());
    item.first.requires_grad_(item.second);
  }
}

Trainable::~Trainable() {
  for (auto& item : required_gradient_) item.first.requires_grad_(item.second);
}

void Trainable::find_trained_modules(const TrainedPart& part) {
  if (part.is_everything()) trained_modules_.push_back(module_);
  for (const auto& item : module_->named_modules(/*name_prefix=*/"", /*include_self=*/false)) {
    const auto& names = part.names;
    if (std::find(names.begin(), names.end(), item.key()) != names.end()) trained_modules_.push_back(item.value());
  }
}

Trainable::PartlyFrozen Trainable::partly_frozen(const at::Tensor& parameter, const Columns& columns) const {
  if (parameter.dim() != 2) throw InvalidArgument("'" + columns.parameter + "' is no matrix: it has no columns");
  const std::int64_t n = parameter.size(1);
  at::Tensor is_trained = at::zeros({1, n}, at::kBool);
  for (const std::int64_t column : columns.which) {
    if (column < 0 || column >= n) {
      throw InvalidArgument("'" + columns.parameter + "' has " + std::to_string(n) + " columns, and no column " +
                            std::to_string(column + 1));
    }
    is_trained.select(1, column).fill_(true);
  }
  return {parameter, is_trained.to(parameter.device()), parameter.detach().clone()};
}

void Trainable::enter_training_mode() {
  module_->train(!evaluate_frozen_);
  for (const auto& module : trained_modules_) module->train();
}

void Trainable::restore_frozen_columns() {
  const at::NoGradGuard no_grad;
  for (auto& partly : partly_frozen_) {
    partly.parameter.copy_(at::where(partly.is_trained, partly.parameter, partly.before));
  }
}

}  // namespace rscvi
