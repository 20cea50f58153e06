#include "core/model/vae_options.h"

#include <limits>

#include "test.h"

using namespace rscvi;

TEST_CASE("vae options: the names of scvi 0.6.8, and nothing else") {
  CHECK(parse_dispersion("gene") == Dispersion::gene);
  CHECK(parse_dispersion("gene-batch") == Dispersion::gene_batch);
  CHECK(parse_dispersion("gene-label") == Dispersion::gene_label);
  CHECK(parse_dispersion("gene-cell") == Dispersion::gene_cell);
  CHECK(parse_reconstruction_loss("zinb") == ReconstructionLoss::zinb);
  CHECK(parse_reconstruction_loss("nb") == ReconstructionLoss::nb);
  CHECK(parse_reconstruction_loss("poisson") == ReconstructionLoss::poisson);
  CHECK(parse_latent_distribution("normal") == LatentDistribution::normal);
  CHECK(parse_latent_distribution("ln") == LatentDistribution::logistic_normal);
  CHECK(parse_library("residual") == Library::residual);
  CHECK(parse_dispersion_start("normal") == DispersionStart::normal);
  CHECK(parse_dispersion_start("one") == DispersionStart::one);
  CHECK(parse_dispersion_start("moments") == DispersionStart::moments);
  CHECK(parse_library_start("random") == LibraryStart::random);
  CHECK(parse_library_start("prior") == LibraryStart::prior);
  CHECK(parse_scale_start("random") == ScaleStart::random);
  CHECK(parse_scale_start("shares") == ScaleStart::shares);
  CHECK(parse_normalisation("batch") == Normalisation::batch);
  CHECK(parse_normalisation("layer") == Normalisation::layer);
  CHECK_THROWS_WITH_AS(parse_normalisation("group"), R"(normalisation must be one of "batch", "layer", not "group")",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(parse_dispersion("genes"),
                       R"(dispersion must be one of "gene", "gene-batch", "gene-label", "gene-cell", not "genes")",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(parse_reconstruction_loss("NB"),
                       R"(reconstruction_loss must be one of "zinb", "nb", "poisson", not "NB")", InvalidArgument);
  CHECK_THROWS_WITH_AS(parse_latent_distribution(""), R"(latent_distribution must be one of "normal", "ln", not "")",
                       InvalidArgument);
}

TEST_CASE("vae options: defaults are those of scvi 0.6.8") {
  const VaeOptions options;
  CHECK(options.n_batch == 0);
  CHECK(options.n_labels == 0);
  CHECK(options.n_hidden == 128);
  CHECK(options.n_latent == 10);
  CHECK(options.n_layers == 1);
  CHECK(options.dropout_rate == 0.1);
  CHECK(options.dispersion == Dispersion::gene);
  CHECK(options.log_variational);
  CHECK(options.reconstruction_loss == ReconstructionLoss::zinb);
  CHECK(options.latent_distribution == LatentDistribution::normal);
  CHECK(options.library == Library::latent);
  CHECK(options.dispersion_start == DispersionStart::normal);
  CHECK(options.library_start == LibraryStart::random);
  CHECK(options.scale_start == ScaleStart::random);
  CHECK(options.normalisation == Normalisation::batch);
}

TEST_CASE("vae options: a value that cannot work is named") {
  const auto with = [](auto&& change) {
    VaeOptions options;
    options.n_input = 5;
    change(options);
    return options;
  };
  CHECK_NOTHROW(validate(with([](VaeOptions&) {})));
  CHECK_THROWS_WITH_AS(validate(VaeOptions()), "n_input must be at least 1, not 0", InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.n_batch = -1; })), "n_batch must be at least 0, not -1",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.n_labels = -2; })), "n_labels must be at least 0, not -2",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.n_hidden = 0; })), "n_hidden must be at least 1, not 0",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.n_latent = 0; })), "n_latent must be at least 1, not 0",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.n_layers = 0; })), "n_layers must be at least 1, not 0",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.dropout_rate = 1; })),
                       "dropout_rate must be in [0, 1), not 1.000000", InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.dropout_rate = -0.1; })),
                       "dropout_rate must be in [0, 1), not -0.100000", InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.dispersion = Dispersion::gene_batch; })),
                       R"(n_batch (dispersion "gene-batch") must be at least 1, not 0)", InvalidArgument);
  CHECK_THROWS_WITH_AS(validate(with([](VaeOptions& o) { o.dispersion = Dispersion::gene_label; })),
                       R"(n_labels (dispersion "gene-label") must be at least 1, not 0)", InvalidArgument);
}

TEST_CASE("vae options: the types of model are the classes of scvi 0.6.8") {
  CHECK(parse_model_type("VAE") == ModelType::vae);
  CHECK(parse_model_type("LDVAE") == ModelType::ldvae);
  CHECK(parse_model_type("VAEC") == ModelType::vaec);
  CHECK(parse_model_type("SCANVI") == ModelType::scanvi);
  CHECK_THROWS_WITH_AS(parse_model_type("scanvi"),
                       R"(type must be one of "VAE", "LDVAE", "VAEC", "SCANVI", not "scanvi")", InvalidArgument);
  CHECK(has_classifier(ModelType::vaec));
  CHECK(has_classifier(ModelType::scanvi));
  CHECK_FALSE(has_classifier(ModelType::vae));
  CHECK_FALSE(has_classifier(ModelType::ldvae));
}

TEST_CASE("vae options: defaults of the types are those of scvi 0.6.8") {
  const VaeOptions options;
  CHECK(options.type == ModelType::vae);
  CHECK(options.use_batch_norm);
  CHECK_FALSE(options.bias);
  CHECK(options.y_prior.empty());
  CHECK(options.labels_groups.empty());
  CHECK(options.classifier.n_hidden == 128);
  CHECK(options.classifier.n_layers == 1);
  CHECK(options.classifier.dropout_rate == 0.1);
  CHECK_FALSE(options.encode_labels_twice);
}

namespace {

template <class Change>
VaeOptions labelled(ModelType type, Change&& change) {
  VaeOptions options;
  options.type = type;
  options.n_input = 5;
  options.n_labels = 3;
  change(options);
  return options;
}

template <class Change>
void check_refused(ModelType type, Change&& change, const char* message) {
  CHECK_THROWS_WITH_AS(validate(labelled(type, change)), message, InvalidArgument);
}

}  // namespace

TEST_CASE("vae options: a classifier needs two labels, and settings that work") {
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    CHECK_NOTHROW(validate(labelled(type, [](VaeOptions& o) { o.n_labels = 2; })));
    check_refused(type, [](VaeOptions& o) { o.n_labels = 1; }, "n_labels must be at least 2, not 1");
    check_refused(type, [](VaeOptions& o) { o.classifier.n_hidden = 0; },
                  "n_hidden of the classifier must be at least 1, not 0");
    CHECK_NOTHROW(validate(labelled(type, [](VaeOptions& o) { o.classifier.n_layers = 0; })));
    check_refused(type, [](VaeOptions& o) { o.classifier.n_layers = -1; },
                  "n_layers of the classifier must be at least 0, not -1");
    check_refused(type, [](VaeOptions& o) { o.classifier.dropout_rate = 1; },
                  "dropout_rate of the classifier must be in [0, 1), not 1.000000");
    check_refused(type, [](VaeOptions& o) { o.latent_distribution = LatentDistribution::logistic_normal; },
                  "latent_distribution must be \"normal\" for a model with a classifier");
  }
}

TEST_CASE("vae options: models without a classifier do not mind what is said of one") {
  for (const ModelType type : {ModelType::vae, ModelType::ldvae}) {
    CHECK_NOTHROW(validate(labelled(type, [](VaeOptions& o) {
      o.n_labels = 0;
      o.classifier.n_hidden = 0;
      o.y_prior = {5};
      o.labels_groups = {9};
      o.latent_distribution = LatentDistribution::logistic_normal;
    })));
  }
}

TEST_CASE("vae options: the prior of labels is one positive number each, and sums to 1") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const char* message = "y_prior must be 3 positive numbers that sum to 1";
  for (const ModelType type : {ModelType::vaec, ModelType::scanvi}) {
    for (const std::vector<double>& good : {std::vector<double>{0.2, 0.3, 0.5}, {1 / 3.0, 1 / 3.0, 1 / 3.0}, {}}) {
      CHECK_NOTHROW(validate(labelled(type, [&](VaeOptions& o) { o.y_prior = good; })));
    }
    for (const std::vector<double>& bad :
         {std::vector<double>{0.5, 0.5}, {0.25, 0.25, 0.25, 0.25}, {0.5, 0.5, 0.0}, {0.7, 0.6, -0.3}, {0.3, 0.3, 0.3},
          {0.4, 0.4, 0.4}, {nan, 0.5, 0.5}, {0.5, 0.5, nan}}) {
      check_refused(type, [&](VaeOptions& o) { o.y_prior = bad; }, message);
    }
  }
}

TEST_CASE("vae options: groups of labels cover every label and have no gaps") {
  const char* message = "labels_groups must give each of the 3 labels a group, numbered without gaps";
  using Groups = std::vector<std::int64_t>;
  for (const Groups& good : {Groups{0, 0, 0}, Groups{1, 0, 1}, Groups{2, 1, 0}, Groups{}}) {
    CHECK_NOTHROW(validate(labelled(ModelType::scanvi, [&](VaeOptions& o) { o.labels_groups = good; })));
  }
  for (const Groups& bad : {Groups{0, 1}, Groups{0, 1, 2, 3}, Groups{1, 1, 2}, Groups{0, 0, 2}, Groups{-1, 0, 1}}) {
    check_refused(ModelType::scanvi, [&](VaeOptions& o) { o.labels_groups = bad; }, message);
  }
}

TEST_CASE("vae options: combinations that the decoder cannot serve are refused") {
  const auto gene_cell = [](VaeOptions& o) { o.dispersion = Dispersion::gene_cell; };
  const auto gene_label = [](VaeOptions& o) { o.dispersion = Dispersion::gene_label; };
  check_refused(ModelType::ldvae, gene_cell,
                "dispersion \"gene-cell\" needs a decoder that is not linear: LDVAE has none");
  check_refused(ModelType::scanvi, gene_label,
                "dispersion \"gene-label\" does not go with SCANVI, whose decoder does not see labels");
  for (const ModelType type : {ModelType::vae, ModelType::vaec, ModelType::scanvi}) {
    CHECK_NOTHROW(validate(labelled(type, gene_cell)));
  }
  for (const ModelType type : {ModelType::vae, ModelType::ldvae, ModelType::vaec}) {
    CHECK_NOTHROW(validate(labelled(type, gene_label)));
  }
}
