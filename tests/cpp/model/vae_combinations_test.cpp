// Every model that the options can build: 3 likelihoods x 4 dispersions x 2 latent distributions x 1 or 2 layers x
// 0, 1 or 3 batches.
#include <functional>

#include "core/model/vae.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;

namespace {

void for_each_model(const std::function<void(const VaeOptions&, const Minibatch&)>& visit) {
  for (const std::int64_t n_batch : {0, 1, 3}) {
    const Toy toy = toy_data(/*n_cells=*/27, std::max<std::int64_t>(1, n_batch));
    const Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(0, 27));
    for (const auto loss : {ReconstructionLoss::zinb, ReconstructionLoss::nb, ReconstructionLoss::poisson}) {
      for (const auto dispersion :
           {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
        if (dispersion == Dispersion::gene_batch && n_batch == 0) continue;
        for (const auto latent : {LatentDistribution::normal, LatentDistribution::logistic_normal}) {
          for (const std::int64_t n_layers : {1, 2}) {
            VaeOptions options = toy_options(n_batch);
            options.reconstruction_loss = loss;
            options.dispersion = dispersion;
            options.latent_distribution = latent;
            options.n_layers = n_layers;
            CAPTURE(n_batch);
            CAPTURE(n_layers);
            CAPTURE(static_cast<int>(loss));
            CAPTURE(static_cast<int>(dispersion));
            CAPTURE(static_cast<int>(latent));
            visit(options, minibatch);
          }
        }
      }
    }
  }
}

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

bool loss_depends_on(const std::string& parameter, const VaeOptions& options) {
  const bool has_theta = options.reconstruction_loss != ReconstructionLoss::poisson;
  if (parameter == "px_r") return has_theta;
  if (starts_with(parameter, "decoder.px_r_decoder")) {
    return has_theta && options.dispersion == Dispersion::gene_cell;
  }
  if (starts_with(parameter, "decoder.px_dropout_decoder")) {
    return options.reconstruction_loss == ReconstructionLoss::zinb;
  }
  return true;
}

// Batch normalisation takes a shift of all cells out again, so the gradient of the bias before it is rounding.
bool is_bias_before_batch_norm(const std::string& parameter) {
  return parameter.find(".0.bias") != std::string::npos && parameter.find("fc_layers") != std::string::npos;
}

}  // namespace

TEST_CASE("vae combinations: the loss is finite and its gradient reaches the parameters it depends on, no others") {
  for_each_model([](const VaeOptions& options, const Minibatch& minibatch) {
    Vae model = toy_model(options);
    RandomStream random(2);
    const LossTerms terms = model->loss_terms(minibatch, Noise(), random);
    const at::Tensor loss = (terms.reconst_loss + terms.kl_z + terms.kl_l).mean();
    REQUIRE(std::isfinite(loss.item<double>()));
    CHECK(terms.reconst_loss.min().item<double>() > 0);
    CHECK(terms.kl_z.min().item<double>() > 0);
    CHECK(terms.kl_l.min().item<double>() > 0);
    loss.backward();
    for (const auto& item : model->named_parameters()) {
      CAPTURE(item.key());
      const at::Tensor gradient = item.value().grad();
      CHECK(gradient.defined() == loss_depends_on(item.key(), options));
      if (!gradient.defined()) continue;
      const double largest = gradient.abs().max().item<double>();
      CHECK(std::isfinite(largest));
      if (!is_bias_before_batch_norm(item.key())) CHECK(largest > 0);
    }
  });
}

TEST_CASE("vae combinations: shares sum to 1, rates are exp(library) times shares, theta has its dispersion's shape") {
  for_each_model([](const VaeOptions& options, const Minibatch& minibatch) {
    const at::NoGradGuard no_grad;
    Vae model = scrambled_model(options);
    RandomStream random(2);
    const EncodedCells encoded = model->encode(minibatch.x, minibatch, random);
    const LatentDraw drawn = model->draw(encoded, std::nullopt, Noise(), random);
    const CountParameters out = model->decode(drawn, minibatch, true, random);
    CHECK(max_difference(out.px_scale.sum(1), at::ones({minibatch.size()})) < 1e-6);
    CHECK(max_relative_difference(out.px_rate, at::exp(drawn.library) * out.px_scale) < 1e-6);
    CHECK(out.px_r.dim() == (options.dispersion == Dispersion::gene ? 1 : 2));
    CHECK(out.px_r.size(-1) == options.n_input);
    CHECK(out.px_r.min().item<double>() > 0);
    CHECK(out.px_dropout.size(1) == options.n_input);
    if (options.latent_distribution == LatentDistribution::normal) {
      CHECK(same_bits(drawn.z, drawn.gaussian));
    } else {
      CHECK(max_difference(drawn.z.sum(1), at::ones({minibatch.size()})) < 1e-6);
      CHECK(max_relative_difference(drawn.z, at::softmax(drawn.gaussian, 1)) < 1e-6);
    }
  });
}

TEST_CASE("vae combinations: the loss of a cell does not depend on the cells beside it, in evaluation") {
  for_each_model([](const VaeOptions& options, const Minibatch& whole) {
    const at::NoGradGuard no_grad;
    Vae model = scrambled_model(options);
    RandomStream random(2);
    const Noise noise = {random.normal({whole.size(), options.n_latent}, c10::kCPU),
                         random.normal({whole.size(), 1}, c10::kCPU)};
    const LossTerms expected = model->loss_terms(whole, noise, random);
    for (const std::int64_t start : {0, 5}) {
      const std::int64_t size = start == 0 ? 5 : whole.size() - 5;
      const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, start, size); };
      const Minibatch minibatch = {{part(whole.batch_index), part(whole.label)}, part(whole.x.dense()),
                                   part(whole.local_l_mean), part(whole.local_l_var)};
      const LossTerms terms = model->loss_terms(minibatch, {part(noise.z), part(noise.library)}, random);
      CHECK(max_relative_difference(terms.reconst_loss, part(expected.reconst_loss)) < 1e-5);
      CHECK(max_relative_difference(terms.kl_z, part(expected.kl_z)) < 1e-5);
      CHECK(max_relative_difference(terms.kl_l, part(expected.kl_l)) < 1e-5);
    }
  });
}
