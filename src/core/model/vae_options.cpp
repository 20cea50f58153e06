#include "core/model/vae_options.h"

#include <utility>
#include <vector>

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

void validate(const VaeOptions& options) {
  require_at_least("n_input", options.n_input, 1);
  require_at_least("n_batch", options.n_batch, 0);
  require_at_least("n_labels", options.n_labels, 0);
  require_at_least("n_hidden", options.n_hidden, 1);
  require_at_least("n_latent", options.n_latent, 1);
  require_at_least("n_layers", options.n_layers, 1);
  if (!(options.dropout_rate >= 0 && options.dropout_rate < 1)) {
    throw InvalidArgument("dropout_rate must be in [0, 1), not " + std::to_string(options.dropout_rate));
  }
  if (options.dispersion == Dispersion::gene_batch) require_at_least("n_batch (dispersion \"gene-batch\")", options.n_batch, 1);
  if (options.dispersion == Dispersion::gene_label) require_at_least("n_labels (dispersion \"gene-label\")", options.n_labels, 1);
}

}  // namespace rscvi
