// How a model is built. No LibTorch header here: the glue reads these types too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "core/nn/classifier_options.h"
#include "core/nn/normalisation.h"

namespace rscvi {

enum class Dispersion { gene, gene_batch, gene_label, gene_cell };
enum class ReconstructionLoss { zinb, nb, poisson };
enum class LatentDistribution { normal, logistic_normal };
// The library size of a cell: a latent variable; the number of its counts; or a latent variable whose posterior mean is
// ln of that number plus what an encoder makes of the counts, 0 at the start.
enum class Library { latent, observed, residual };
// Where ln theta starts: N(0, 1), or estimates from the data (model/start.h).
enum class DispersionStart { normal, one, moments };
// Where the biases of the library encoder's two outputs start: as those of any layer, or at the library's prior.
enum class LibraryStart { random, prior };

// Where the biases of the decoder's logits of shares start: as those of any layer, or at the genes' shares of the data.
enum class ScaleStart { random, shares };

// Networks see (value - mean) / sd.
struct ContinuousCovariate {
  double mean = 0, sd = 1;
};

// VAE; with a linear decoder (LDVAE); conditioned on the label (VAEC); with a prior that knows of labels (SCANVI).
enum class ModelType { vae, ldvae, vaec, scanvi };

// Defaults are those of scvi 0.6.8's VAE.
struct VaeOptions {
  ModelType type = ModelType::vae;
  std::int64_t n_input = 0;   // genes
  std::int64_t n_batch = 0;   // batches; 0 or 1: the decoder does not see the batch
  std::int64_t n_labels = 0;  // labels: for dispersion per gene and label, and for VAEC and SCANVI
  std::int64_t n_hidden = 128;
  std::int64_t n_latent = 10;
  std::int64_t n_layers = 1;  // hidden layers of the z encoder and of the decoder
  double dropout_rate = 0.1;  // in the encoders
  Dispersion dispersion = Dispersion::gene;
  bool log_variational = true;  // encoders see ln(1 + x)
  ReconstructionLoss reconstruction_loss = ReconstructionLoss::zinb;
  LatentDistribution latent_distribution = LatentDistribution::normal;

  // Beyond 0.6.8.
  std::vector<std::int64_t> n_categories;          // of each further categorical covariate
  std::vector<ContinuousCovariate> continuous;     // further continuous covariates
  bool encode_covariates = false;  // encoders, too, see batch and covariates, not the decoder alone
  Library library = Library::latent;
  DispersionStart dispersion_start = DispersionStart::normal;
  LibraryStart library_start = LibraryStart::random;
  ScaleStart scale_start = ScaleStart::random;
  Normalisation normalisation = Normalisation::batch;  // in the blocks of encoders and decoder; not in classifiers

  // LDVAE: of its decoder.
  bool use_batch_norm = true;
  bool bias = false;

  // VAEC and SCANVI.
  std::vector<double> y_prior;               // probability of each label; empty: all alike
  ClassifierOptions classifier;
  std::vector<std::int64_t> labels_groups;   // SCANVI: group of each label, 0 .. groups - 1; empty: no groups
  // VAEC's loss with dispersion per gene and label as scvi 0.6.8 has it: labels are one-hot encoded twice, so that all
  // cells get exp of the sum of the first two labels' values. For comparisons alone.
  bool encode_labels_twice = false;
};

bool has_classifier(ModelType type);

// The names of the classes of 0.6.8; InvalidArgument for any other.
ModelType parse_model_type(const std::string& name);

// The names of 0.6.8 for the enumerations ("gene-batch", "zinb", "ln"); InvalidArgument for any other.
Dispersion parse_dispersion(const std::string& name);
ReconstructionLoss parse_reconstruction_loss(const std::string& name);
LatentDistribution parse_latent_distribution(const std::string& name);
Library parse_library(const std::string& name);
DispersionStart parse_dispersion_start(const std::string& name);
LibraryStart parse_library_start(const std::string& name);
ScaleStart parse_scale_start(const std::string& name);
Normalisation parse_normalisation(const std::string& name);

// InvalidArgument, naming the option, if no model can be built with these.
void validate(const VaeOptions& options);

}  // namespace rscvi
