#include "core/model/vae_options.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace rscvi {
namespace {

template <class T>
T parse(const std::string& option, const std::string& name, const std::vector<std::pair<std::string, T>>& choices) {
  std::string legal;
  for (const auto& choice : choices) {
    if (choice.first == name) return choice.second;
    legal += (legal.empty() ? "\"" : ", \"") + choice.first + "\"";
  }
  throw InvalidArgument(option + " must be one of " + legal + ", not \"" + name + "\"");
}

void require_at_least(const char* option, std::int64_t value, std::int64_t lower) {
  if (value >= lower) return;
  throw InvalidArgument(std::string(option) + " must be at least " + std::to_string(lower) + ", not " +
                        std::to_string(value));
}

}  // namespace

bool has_classifier(ModelType type) { return type == ModelType::vaec || type == ModelType::scanvi; }

ModelType parse_model_type(const std::string& name) {
  return parse<ModelType>("type", name,
                          {{"VAE", ModelType::vae},
                           {"LDVAE", ModelType::ldvae},
                           {"VAEC", ModelType::vaec},
                           {"SCANVI", ModelType::scanvi}});
}

Dispersion parse_dispersion(const std::string& name) {
  return parse<Dispersion>("dispersion", name,
                           {{"gene", Dispersion::gene},
                            {"gene-batch", Dispersion::gene_batch},
                            {"gene-label", Dispersion::gene_label},
                            {"gene-cell", Dispersion::gene_cell}});
}

ReconstructionLoss parse_reconstruction_loss(const std::string& name) {
  return parse<ReconstructionLoss>("reconstruction_loss", name,
                                   {{"zinb", ReconstructionLoss::zinb},
                                    {"nb", ReconstructionLoss::nb},
                                    {"poisson", ReconstructionLoss::poisson}});
}

LatentDistribution parse_latent_distribution(const std::string& name) {
  return parse<LatentDistribution>(
      "latent_distribution", name,
      {{"normal", LatentDistribution::normal}, {"ln", LatentDistribution::logistic_normal}});
}

Library parse_library(const std::string& name) {
  return parse<Library>(
      "library", name,
      {{"latent", Library::latent}, {"observed", Library::observed}, {"residual", Library::residual}});
}

DispersionStart parse_dispersion_start(const std::string& name) {
  return parse<DispersionStart>(
      "dispersion_start", name,
      {{"normal", DispersionStart::normal}, {"one", DispersionStart::one}, {"moments", DispersionStart::moments}});
}

LibraryStart parse_library_start(const std::string& name) {
  return parse<LibraryStart>("library_start", name, {{"random", LibraryStart::random}, {"prior", LibraryStart::prior}});
}

ScaleStart parse_scale_start(const std::string& name) {
  return parse<ScaleStart>("scale_start", name, {{"random", ScaleStart::random}, {"shares", ScaleStart::shares}});
}

Normalisation parse_normalisation(const std::string& name) {
  return parse<Normalisation>("normalisation", name,
                              {{"batch", Normalisation::batch}, {"layer", Normalisation::layer}});
}

namespace {

void require_rate(const char* option, double value) {
  if (value >= 0 && value < 1) return;
  throw InvalidArgument(std::string(option) + " must be in [0, 1), not " + std::to_string(value));
}

void validate_starts(const VaeOptions& options) {
  if (options.dispersion_start != DispersionStart::normal && options.dispersion == Dispersion::gene_cell) {
    const std::string name = options.dispersion_start == DispersionStart::one ? "one" : "moments";
    throw InvalidArgument("dispersion_start \"" + name +
                          "\" does not go with dispersion \"gene-cell\", which has no start");
  }
  if (options.library_start == LibraryStart::prior && options.library == Library::observed) {
    throw InvalidArgument("library_start \"prior\" does not go with library \"observed\", which has no encoder");
  }
  if (options.scale_start == ScaleStart::shares && options.type == ModelType::ldvae) {
    throw InvalidArgument("scale_start \"shares\" does not go with a linear decoder, whose logits have no biases");
  }
}

void validate_labels(const VaeOptions& options) {
  if (!has_classifier(options.type)) return;
  require_at_least("n_labels", options.n_labels, 2);
  require_at_least("n_hidden of the classifier", options.classifier.n_hidden, 1);
  require_at_least("n_layers of the classifier", options.classifier.n_layers, 0);
  require_rate("dropout_rate of the classifier", options.classifier.dropout_rate);
  if (options.latent_distribution != LatentDistribution::normal) {
    throw InvalidArgument("latent_distribution must be \"normal\" for a model with a classifier");
  }
  const auto n_labels = static_cast<std::size_t>(options.n_labels);
  if (!options.y_prior.empty()) {
    double sum = 0, least = 1;
    for (const double p : options.y_prior) sum += p, least = std::min(least, p);
    if (options.y_prior.size() != n_labels || !(least > 0) || !(std::abs(sum - 1) < 1e-6)) {
      throw InvalidArgument("y_prior must be " + std::to_string(n_labels) + " positive numbers that sum to 1");
    }
  }
  if (!options.labels_groups.empty()) {
    const std::set<std::int64_t> groups(options.labels_groups.begin(), options.labels_groups.end());
    if (options.labels_groups.size() != n_labels || *groups.begin() != 0 ||
        *groups.rbegin() != static_cast<std::int64_t>(groups.size()) - 1) {
      throw InvalidArgument("labels_groups must give each of the " + std::to_string(n_labels) +
                            " labels a group, numbered without gaps");
    }
  }
}

}  // namespace

void validate(const VaeOptions& options) {
  require_at_least("n_input", options.n_input, 1);
  require_at_least("n_batch", options.n_batch, 0);
  require_at_least("n_labels", options.n_labels, 0);
  require_at_least("n_hidden", options.n_hidden, 1);
  require_at_least("n_latent", options.n_latent, 1);
  require_at_least("n_layers", options.n_layers, 1);
  require_rate("dropout_rate", options.dropout_rate);
  if (options.dispersion == Dispersion::gene_batch) {
    require_at_least("n_batch (dispersion \"gene-batch\")", options.n_batch, 1);
  }
  if (options.dispersion == Dispersion::gene_label) {
    require_at_least("n_labels (dispersion \"gene-label\")", options.n_labels, 1);
  }
  if (options.type == ModelType::ldvae && options.dispersion == Dispersion::gene_cell) {
    throw InvalidArgument("dispersion \"gene-cell\" needs a decoder that is not linear: LDVAE has none");
  }
  if (options.type == ModelType::scanvi && options.dispersion == Dispersion::gene_label) {
    throw InvalidArgument("dispersion \"gene-label\" does not go with SCANVI, whose decoder does not see labels");
  }
  validate_starts(options);
  for (const std::int64_t n : options.n_categories) require_at_least("categories of a covariate", n, 1);
  for (const ContinuousCovariate& covariate : options.continuous) {
    if (std::isfinite(covariate.mean) && std::isfinite(covariate.sd) && covariate.sd > 0) continue;
    throw InvalidArgument("a continuous covariate needs a finite mean and a positive standard deviation");
  }
  validate_labels(options);
}

}  // namespace rscvi
