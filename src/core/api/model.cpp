#include "core/api/model.h"

#include <algorithm>

#include "core/api/model_handle.h"
#include "core/distributions/counts.h"
#include "core/model/make_model.h"
#include "core/model/more_batches.h"
#include "core/model/scanvi.h"
#include "core/model/start.h"
#include "core/model/state.h"
#include "core/posterior/posterior.h"
#include "core/training/fit_minibatches.h"

namespace rscvi::api {
namespace {

void check_codes(const std::vector<std::int64_t>& codes, std::int64_t n_cells, std::int64_t n_levels,
                 const char* name) {
  if (codes.empty()) return;
  if (static_cast<std::int64_t>(codes.size()) != n_cells) {
    throw InvalidArgument(std::string(name) + " must have one element a cell (" + std::to_string(n_cells) +
                          "), not " + std::to_string(codes.size()));
  }
  if (n_levels < 2) return;  // the model has no columns for them
  for (const std::int64_t code : codes) {
    if (code < 0 || code >= n_levels) {
      throw InvalidArgument(std::string(name) + " must be from 1 to " + std::to_string(n_levels) + ", not " +
                            std::to_string(code + 1));
    }
  }
}

// (B, n), undefined for none.
at::Tensor categorical_covariates(const Cells& cells, std::int64_t n_cells, const VaeImpl& vae) {
  const std::vector<std::int64_t>& sizes = vae.options().n_categories;
  if (sizes.empty()) return at::Tensor();
  if (cells.categorical.size() != sizes.size()) {
    throw InvalidArgument("covariates: the model has " + std::to_string(sizes.size()) +
                          " categorical ones, given are " + std::to_string(cells.categorical.size()));
  }
  std::vector<at::Tensor> columns;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (cells.categorical[k].empty()) throw InvalidArgument("a covariate has no codes");
    check_codes(cells.categorical[k], n_cells, sizes[k], "covariates");
    columns.push_back(codes_to_tensor(cells.categorical[k]));
  }
  return at::stack(columns, 1).to(vae.device());
}

// (B, m), undefined for none.
at::Tensor continuous_covariates(const Cells& cells, std::int64_t n_cells, const VaeImpl& vae) {
  const auto n = static_cast<std::int64_t>(vae.options().continuous.size());
  if (n == 0) return at::Tensor();
  std::vector<at::Tensor> columns;
  for (const auto& values : cells.continuous) columns.push_back(at::tensor(values, at::kDouble));
  const bool fits = std::all_of(columns.begin(), columns.end(), [&](const auto& c) { return c.size(0) == n_cells; });
  if (!fits || static_cast<std::int64_t>(columns.size()) != n) {
    throw InvalidArgument("covariates: the model has " + std::to_string(n) + " continuous ones, of " +
                          std::to_string(n_cells) + " cells each");
  }
  return at::stack(columns, 1).to(vae.device());
}

Minibatch to_minibatch(const Cells& cells, const VaeImpl& vae) {
  Minibatch minibatch;
  const at::Tensor x = to_tensor(cells.x);
  if (!x.defined() || x.dim() != 2 || x.size(1) != vae.options().n_input) {
    throw InvalidArgument("x must be a matrix of cells x " + std::to_string(vae.options().n_input) + " genes");
  }
  const std::int64_t n = x.size(0);
  check_codes(cells.batch_index, n, vae.options().n_batch, "batch_index");
  check_codes(cells.label, n, vae.options().n_labels, "y");
  const auto per_cell = [&](const Array& array, const char* name) {
    at::Tensor tensor = to_tensor(array);
    if (!tensor.defined()) return tensor;
    if (tensor.numel() != n) throw InvalidArgument(std::string(name) + " must have one element a cell");
    return tensor.view({n, 1}).to(vae.device());
  };
  minibatch.categorical = categorical_covariates(cells, n, vae);
  minibatch.continuous = continuous_covariates(cells, n, vae);
  minibatch.local_l_mean = per_cell(cells.local_l_mean, "local_l_mean");
  minibatch.local_l_var = per_cell(cells.local_l_var, "local_l_var");
  minibatch.x = x.to(vae.device());
  minibatch.batch_index = codes_to_tensor(cells.batch_index);
  minibatch.label = codes_to_tensor(cells.label);
  if (minibatch.batch_index.defined()) minibatch.batch_index = minibatch.batch_index.to(vae.device());
  if (minibatch.label.defined()) minibatch.label = minibatch.label.to(vae.device());
  return minibatch;
}

NamedArrays to_arrays(const LossTerms& terms) {
  NamedArrays out = {{"reconst_loss", to_array(terms.reconst_loss)},
                     {"kl_z", to_array(terms.kl_z)},
                     {"kl_l", to_array(terms.kl_l)}};
  if (terms.kl_z1.defined()) out.emplace_back("kl_z1", to_array(terms.kl_z1));
  if (terms.kl_y.defined()) out.emplace_back("kl_y", to_array(terms.kl_y));
  return out;
}

CountDistribution parse_distribution(const std::string& name) {
  switch (parse_reconstruction_loss(name)) {
    case ReconstructionLoss::zinb: return CountDistribution::zinb;
    case ReconstructionLoss::nb: return CountDistribution::nb;
    default: return CountDistribution::poisson;
  }
}

}  // namespace

Model::Model(const VaeOptions& options, std::uint64_t seed) : handle_(std::make_shared<Handle>()) {
  translate_errors([&] {
    RandomStream random = RandomStream(seed).split(stream::parameters);
    handle_->vae = make_model(options, random);
    handle_->vae->eval();
  });
}

Model::Model(const ClassifierOptions& options, std::int64_t n_input, std::int64_t n_labels, std::uint64_t seed)
    : handle_(std::make_shared<Handle>()) {
  translate_errors([&] {
    RandomStream random = RandomStream(seed).split(stream::parameters);
    handle_->classifier = make_classifier(n_input, n_labels, options, random);
    handle_->classifier->eval();
  });
}

Model::Model(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}

Model Model::with_more_batches(std::int64_t n_new) const {
  return translate_errors([&] {
    auto handle = std::make_shared<Handle>();
    handle->vae = rscvi::with_more_batches(handle_->vae, n_new);
    handle->vae->to(handle_->vae->device());
    return Model(std::move(handle));
  });
}

std::vector<Columns> Model::columns_of_batches(std::int64_t first, std::int64_t n) const {
  return rscvi::columns_of_batches(*handle_->vae, first, n);
}

const VaeOptions& Model::options() const { return handle_->vae->options(); }

NamedArrays Model::state() const {
  return translate_errors([&] {
    NamedArrays out;
    for (const auto& item : live_state(*handle_->module())) out.emplace_back(item.first, to_array(item.second));
    return out;
  });
}

void Model::load_state(const NamedArrays& state) {
  translate_errors([&] {
    State tensors;
    for (const auto& item : state) tensors.emplace_back(item.first, to_tensor(item.second));
    rscvi::load_state(*handle_->module(), tensors);
  });
}

void Model::start_from_data(const Dataset& dataset) {
  translate_errors([&] { rscvi::start_from_data(*handle_->vae, dataset); });
}

NamedArrays Model::inference(const Cells& cells, std::int64_t n_samples, std::optional<std::int64_t> transform_batch,
                             const NoiseArrays& noise, std::uint64_t seed) {
  return translate_errors([&] {
    Vae& vae = handle_->vae;
    const EvaluationScope evaluation(vae);
    RandomStream random(seed);
    const Minibatch minibatch = to_minibatch(cells, *vae);
    const EncodedCells encoded = vae->encode(minibatch.x, minibatch, random);
    const auto draws = n_samples == 1 ? std::nullopt : std::make_optional(n_samples);
    const LatentDraw drawn = vae->draw(encoded, draws, to_noise(noise), random);
    const CountParameters parameters =
        vae->decode(drawn, as_batch(minibatch, transform_batch), /*want_dropout=*/true, random);
    return NamedArrays{{"px_scale", to_array(parameters.px_scale)},
                       {"px_rate", to_array(parameters.px_rate)},
                       {"px_r", to_array(parameters.px_r)},
                       {"px_dropout", to_array(parameters.px_dropout)},
                       {"z", to_array(drawn.z)},
                       {"qz_m", to_array(encoded.qz_m)},
                       {"qz_v", to_array(encoded.qz_v)},
                       {"library", to_array(drawn.library)},
                       {"ql_m", to_array(encoded.ql_m)},
                       {"ql_v", to_array(encoded.ql_v)}};
  });
}

NamedArrays Model::loss_terms(const Cells& cells, const NoiseArrays& noise, std::uint64_t seed) {
  return translate_errors([&] {
    Vae& vae = handle_->vae;
    const EvaluationScope evaluation(vae);
    RandomStream random(seed);
    const LossTerms terms = vae->loss_terms(to_minibatch(cells, *vae), to_noise(noise), random);
    return to_arrays(terms);
  });
}

NamedArrays Model::unlabelled_loss_terms(const Cells& cells, const NoiseArrays& noise, std::uint64_t seed) {
  return translate_errors([&] {
    Vae& vae = handle_->vae;
    const EvaluationScope evaluation(vae);
    RandomStream random(seed);
    return to_arrays(vae->unlabelled_loss_terms(to_minibatch(cells, *vae), to_noise(noise), random));
  });
}

NamedArrays Model::latents(const Cells& cells, const NoiseArrays& noise, std::uint64_t seed) {
  return translate_errors([&] {
    Vae& vae = handle_->vae;
    auto* scanvi = vae->as<ScanviImpl>();
    if (scanvi == nullptr) throw InvalidArgument("this model has no second latent variable: it is no SCANVI");
    const EvaluationScope evaluation(vae);
    RandomStream random(seed);
    const Minibatch minibatch = to_minibatch(cells, *vae);
    const at::Tensor z1 =
        vae->draw_z(vae->encode_z(minibatch.x, minibatch, random), std::nullopt, to_noise(noise).z, random).z;
    const at::Tensor z2 = scanvi->encode_z2(z1, minibatch.label, random).mean;
    return NamedArrays{{"z1", to_array(z1)}, {"z2", to_array(z2)}};
  });
}

Array Model::classify(const Cells& cells) {
  return translate_errors([&] {
    Vae& vae = handle_->vae;
    const EvaluationScope evaluation(vae);
    RandomStream unused(0);  // dropout, which evaluation does without
    const Minibatch minibatch = to_minibatch(cells, *vae);
    return to_array(at::exp(vae->classify(minibatch.x, minibatch, unused)));
  });
}

std::vector<double> Model::fit_minibatches(const std::vector<Cells>& minibatches,
                                           const std::vector<NoiseArrays>& noise, double kl_weight,
                                           const ClassificationOptions& classification,
                                           const OptimiserOptions& optimiser, std::uint64_t seed) {
  return translate_errors([&] {
    std::vector<Minibatch> tensors;
    std::vector<Noise> draws;
    for (const auto& cells : minibatches) tensors.push_back(to_minibatch(cells, *handle_->vae));
    for (const auto& arrays : noise) draws.push_back(to_noise(arrays));
    RandomStream random = RandomStream(seed).split(stream::training);
    return rscvi::fit_minibatches(handle_->vae, tensors, draws, kl_weight, classification, optimiser, random);
  });
}

std::vector<double> log_probability(const std::string& distribution, const std::vector<double>& x,
                                    const std::vector<double>& mu, const std::vector<double>& theta,
                                    const std::vector<double>& pi) {
  return translate_errors([&] {
    const auto tensor = [](const std::vector<double>& values) {
      return values.empty() ? at::Tensor() : at::tensor(values, at::kDouble);
    };
    const at::Tensor out = rscvi::log_probability(parse_distribution(distribution), at::tensor(x, at::kDouble),
                                                  tensor(mu), tensor(theta), tensor(pi));
    return std::vector<double>(out.data_ptr<double>(), out.data_ptr<double>() + out.numel());
  });
}

}  // namespace rscvi::api
