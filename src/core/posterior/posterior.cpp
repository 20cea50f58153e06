#include "core/posterior/posterior.h"

#include <ATen/ATen.h>

namespace rscvi {
namespace {

at::Tensor slice_cells(const at::Tensor& noise, std::int64_t start, std::int64_t size) {
  return noise.defined() ? noise.narrow(noise.dim() - 2, start, size) : noise;
}

}  // namespace

Posterior in_wide_minibatches(const Posterior& posterior) {
  constexpr std::int64_t entries_at_once = std::int64_t{1} << 19;
  Posterior wide = posterior;
  const std::int64_t n = entries_at_once / std::max<std::int64_t>(1, posterior.dataset->n_genes());
  wide.batch_size = posterior.batch_size < 1 ? posterior.batch_size : std::max(posterior.batch_size, n);
  return wide;
}

Noise slice(const Noise& noise, std::int64_t start, std::int64_t size) {
  return {slice_cells(noise.z, start, size), slice_cells(noise.library, start, size),
          slice_cells(noise.z2, start, size)};
}

void fill_in_labels(Vae model, Minibatch& minibatch) {
  if (!has_classifier(model->options().type)) return;
  const at::Tensor unknown = minibatch.label < 0;
  if (!unknown.any().item<bool>()) return;
  RandomStream unused(0);  // dropout, which evaluation does without
  minibatch.label = at::where(unknown, model->classify(minibatch.x, minibatch, unused).argmax(-1), minibatch.label);
}

EvaluationScope::EvaluationScope(Vae model)
    : model_(std::move(model)), was_training_(model_->is_training()), grad_mode_(at::GradMode::is_enabled()) {
  model_->eval();
  at::GradMode::set_enabled(false);
}

EvaluationScope::~EvaluationScope() {
  model_->train(was_training_);
  at::GradMode::set_enabled(grad_mode_);
}

}  // namespace rscvi
