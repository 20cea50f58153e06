#include "core/model/vae_options.h"

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
