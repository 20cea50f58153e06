#include "core/model/vae.h"

#include <ATen/ATen.h>

#include "core/base/errors.h"
#include "core/distributions/counts.h"
#include "core/distributions/draws.h"
#include "core/distributions/normal.h"
#include "core/nn/linear_decoder.h"

namespace rscvi {
namespace {

CountDistribution distribution_of(ReconstructionLoss loss) {
  switch (loss) {
    case ReconstructionLoss::zinb: return CountDistribution::zinb;
    case ReconstructionLoss::nb: return CountDistribution::nb;
    default: return CountDistribution::poisson;
  }
}

// Labels that the networks of z see: VAEC is conditioned on them, all other models are not.
std::int64_t label_columns(const VaeOptions& options) { return options.type == ModelType::vaec ? options.n_labels : 0; }

CovariateSizes covariate_sizes(const VaeOptions& options, bool with_batch_and_covariates) {
  if (!with_batch_and_covariates) return {{0, label_columns(options)}, 0};
  CovariateSizes sizes = {{options.n_batch, label_columns(options)},
                          static_cast<std::int64_t>(options.continuous.size())};
  sizes.n_categories.insert(sizes.n_categories.end(), options.n_categories.begin(), options.n_categories.end());
  return sizes;
}

std::shared_ptr<CountDecoder> make_decoder(const VaeOptions& options, RandomStream& random) {
  const CovariateSizes sizes = covariate_sizes(options, /*with_batch_and_covariates=*/true);
  if (options.type == ModelType::ldvae) {
    LinearDecoderOptions linear;
    linear.n_latent = options.n_latent;
    linear.covariates = sizes;
    linear.n_genes = options.n_input;
    linear.use_batch_norm = options.use_batch_norm;
    linear.bias = options.bias;
    return std::make_shared<LinearDecoderImpl>(linear, random);
  }
  FullyConnectedOptions block;
  block.n_in = options.n_latent;
  block.n_out = options.n_hidden;
  block.covariates = sizes;
  block.n_layers = options.n_layers;
  block.n_hidden = options.n_hidden;
  block.normalisation = options.normalisation;
  return std::make_shared<DecoderImpl>(block, options.n_input, random);
}

// (value - mean) / sd of each continuous covariate; single precision comes last, as values may be large and near each
// other. Column by column: a GPU gets single numbers along with what to do, but would be waited for with a tensor.
at::Tensor standardised(const std::vector<ContinuousCovariate>& covariates, const at::Tensor& values) {
  std::vector<at::Tensor> columns;
  for (const ContinuousCovariate& covariate : covariates) {
    const at::Tensor column = values.select(1, static_cast<std::int64_t>(columns.size()));
    columns.push_back((column - covariate.mean) / covariate.sd);
  }
  return at::stack(columns, 1).to(at::kFloat);
}

// ln of the number of counts, (B, 1); 0 for a cell without any, as the prior of the library takes it.
at::Tensor log_total(const CellMatrix& x) {
  const at::Tensor total = x.totals();
  return at::where(total > 0, at::log(total), at::zeros_like(total));
}

std::string describe(at::IntArrayRef sizes) {
  std::string text;
  for (const auto n : sizes) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text;
}

}  // namespace

Covariates covariates_of(const VaeOptions& options, const Conditions& conditions) {
  Covariates out;
  out.codes = {conditions.batch_index, conditions.label};
  for (std::size_t k = 0; k < options.n_categories.size() && conditions.categorical.defined(); ++k) {
    out.codes.push_back(conditions.categorical.select(1, static_cast<std::int64_t>(k)));
  }
  const auto n_continuous = static_cast<std::int64_t>(options.continuous.size());
  if (n_continuous > 0 && conditions.continuous.defined() && conditions.continuous.size(1) == n_continuous) {
    out.values = standardised(options.continuous, conditions.continuous);
  }
  return out;
}

FullyConnectedOptions encoder_block(const VaeOptions& options, std::int64_t n_in, std::int64_t n_layers) {
  FullyConnectedOptions block;
  block.n_in = n_in;
  block.n_out = options.n_hidden;
  block.n_layers = n_layers;
  block.n_hidden = options.n_hidden;
  block.dropout_rate = options.dropout_rate;
  block.normalisation = options.normalisation;
  return block;
}

at::Tensor draw_normal(const GaussianParameters& gaussian, std::optional<std::int64_t> n_samples,
                       const at::Tensor& noise, const char* name, RandomStream& random) {
  const at::Tensor &mean = gaussian.mean, &variance = gaussian.variance;
  std::vector<std::int64_t> sizes = mean.sizes().vec();
  if (n_samples) sizes.insert(sizes.begin(), *n_samples);
  if (!noise.defined()) return from_noise(mean, variance, random.normal(sizes, mean.device()));
  if (noise.sizes() != sizes) {
    throw InvalidArgument(std::string("noise$") + name + " must be " + describe(sizes) + ", not " +
                          describe(noise.sizes()));
  }
  return from_noise(mean, variance, noise.to(mean.device()));
}

at::Tensor LossTerms::negative_elbo() const {
  at::Tensor sum = reconst_loss + kl_z + kl_l;
  for (const at::Tensor& term : {kl_z1, kl_y}) {
    if (term.defined()) sum = sum + term;
  }
  return sum;
}

VaeImpl::VaeImpl(const VaeOptions& options, RandomStream& random) : options_(options) {
  validate(options);
  const std::int64_t n_genes = options.n_input;
  switch (options.dispersion) {
    case Dispersion::gene: px_r_ = random.normal({n_genes}, c10::kCPU); break;
    case Dispersion::gene_batch: px_r_ = random.normal({n_genes, options.n_batch}, c10::kCPU); break;
    case Dispersion::gene_label: px_r_ = random.normal({n_genes, options.n_labels}, c10::kCPU); break;
    case Dispersion::gene_cell: break;
  }
  // Drawn all the same: the other weights are those of the seed, wherever dispersions start.
  if (px_r_.defined() && options.dispersion_start == DispersionStart::one) px_r_.zero_();
  if (px_r_.defined()) px_r_ = register_parameter("px_r", px_r_);
  const CovariateSizes sizes = covariate_sizes(options, options.encode_covariates);
  FullyConnectedOptions z_block = encoder_block(options, n_genes, options.n_layers);
  z_block.covariates = sizes;
  z_encoder_ = register_module("z_encoder", Encoder(z_block, options.n_latent, random));
  if (options.library != Library::observed) {
    FullyConnectedOptions l_block = encoder_block(options, n_genes, /*n_layers=*/1);
    l_block.covariates = sizes;
    l_block.covariates.n_categories[1] = 0;  // the library does not depend on the label
    l_encoder_ = register_module("l_encoder", Encoder(l_block, /*n_out=*/1, random));
    if (options.library == Library::residual) l_encoder_->start_mean_at_zero();
  }
  decoder_ = register_module("decoder", make_decoder(options, random));
}

c10::Device VaeImpl::device() const { return parameters().front().device(); }

CellMatrix VaeImpl::encoder_input(const CellMatrix& x) const { return options_.log_variational ? x.log1p() : x; }

GaussianParameters VaeImpl::encode_z(const CellMatrix& x, const Conditions& conditions, RandomStream& random) {
  return z_encoder_->forward(encoder_input(x), covariates_of(options_, conditions), random);
}

GaussianParameters VaeImpl::encode_library(const CellMatrix& x, const Conditions& conditions, RandomStream& random) {
  if (options_.library == Library::observed) {
    const at::Tensor library = log_total(x);
    return {library, at::zeros_like(library)};
  }
  GaussianParameters l = l_encoder_->forward(encoder_input(x), covariates_of(options_, conditions), random);
  if (options_.library == Library::residual) l.mean = log_total(x) + l.mean;
  return l;
}

EncodedCells VaeImpl::encode(const CellMatrix& x, const Conditions& conditions, RandomStream& random) {
  const GaussianParameters z = encode_z(x, conditions, random), l = encode_library(x, conditions, random);
  return {z.mean, z.variance, l.mean, l.variance};
}

at::Tensor VaeImpl::kl_of_library(const GaussianParameters& ql, const Minibatch& minibatch) const {
  if (!l_encoder_) return at::zeros({minibatch.size()}, ql.mean.options());
  return kl_between_normals(ql.mean, ql.variance, minibatch.local_l_mean, minibatch.local_l_var);
}

LatentDraw VaeImpl::draw(const EncodedCells& encoded, std::optional<std::int64_t> n_samples, const Noise& noise,
                         RandomStream& random) const {
  LatentDraw draw = draw_z({encoded.qz_m, encoded.qz_v}, n_samples, noise.z, random);
  if (l_encoder_) {
    draw.library = draw_normal({encoded.ql_m, encoded.ql_v}, n_samples, noise.library, "library", random);
  } else {
    draw.library = n_samples ? encoded.ql_m.expand({*n_samples, -1, -1}) : encoded.ql_m;
  }
  return draw;
}

LatentDraw VaeImpl::draw_z(const GaussianParameters& qz, std::optional<std::int64_t> n_samples, const at::Tensor& noise,
                           RandomStream& random) const {
  LatentDraw draw;
  draw.gaussian = draw_normal(qz, n_samples, noise, "z", random);
  draw.z = options_.latent_distribution == LatentDistribution::normal ? draw.gaussian : at::softmax(draw.gaussian, -1);
  return draw;
}

at::Tensor VaeImpl::log_dispersion(const at::Tensor& batch_index, const at::Tensor& label) const {
  if (options_.dispersion == Dispersion::gene) return px_r_;
  const bool by_batch = options_.dispersion == Dispersion::gene_batch;
  const at::Tensor& code = by_batch ? batch_index : label;
  if (!code.defined()) {
    throw InvalidArgument(by_batch ? "batch_index is needed: this model has one dispersion a gene and batch"
                                   : "y is needed: this model has one dispersion a gene and label");
  }
  return px_r_.t().index_select(0, code);
}

CountLogits VaeImpl::decode_logits(const LatentDraw& draw, const Conditions& conditions, bool want_dropout,
                                   RandomStream& random) {
  const bool many = draw.z.dim() == 3;
  const Conditions of_draws = many ? repeated(conditions, draw.z.size(0)) : conditions;
  DecoderWants wants;
  wants.dispersion = options_.dispersion == Dispersion::gene_cell;
  wants.dropout = want_dropout;
  const DecoderOutput decoded =
      decoder_->forward(many ? draw.z.flatten(0, 1) : draw.z, covariates_of(options_, of_draws), wants, random);
  CountLogits logits;
  logits.scale = decoded.scale_logits;
  if (draw.library.defined()) logits.log_library = draw.library.reshape({-1, 1});
  logits.log_theta = wants.dispersion ? decoded.log_dispersion
                                      : log_dispersion(conditions.batch_index, conditions.label);
  logits.dropout = decoded.dropout;
  logits.scale_bias = decoded.scale_bias;
  logits.dropout_bias = decoded.dropout_bias;
  return logits;
}

CountParameters VaeImpl::decode(const LatentDraw& draw, const Conditions& conditions, bool want_dropout,
                                RandomStream& random) {
  const CountLogits logits = decode_logits(draw, conditions, want_dropout, random);
  const bool many = draw.z.dim() == 3;
  const auto shaped = [&](const at::Tensor& out) {
    return many && out.defined() ? out.view({draw.z.size(0), draw.z.size(1), out.size(-1)}) : out;
  };
  CountParameters parameters;
  parameters.px_scale = shaped(expected_shares(logits.scale, logits.scale_bias));
  if (draw.library.defined()) parameters.px_rate = at::exp(draw.library) * parameters.px_scale;
  const at::Tensor theta = at::exp(logits.log_theta);
  parameters.px_r = options_.dispersion == Dispersion::gene_cell ? shaped(theta) : theta;
  parameters.px_dropout = shaped(logits.dropout_bias.defined() ? logits.dropout + logits.dropout_bias : logits.dropout);
  return parameters;
}

at::Tensor VaeImpl::decode_hidden(const at::Tensor& z, const Conditions& conditions, RandomStream& random) {
  return decoder_->hidden(z, covariates_of(options_, conditions), random);
}

at::Tensor VaeImpl::scale_logits(const at::Tensor& hidden, std::int64_t first, std::int64_t n) {
  return decoder_->scale_logits(hidden, first, n);
}

at::Tensor VaeImpl::log_likelihood(const CellMatrix& x, const LatentDraw& draw, const Conditions& conditions,
                                   RandomStream& random) {
  const bool want_dropout = options_.reconstruction_loss == ReconstructionLoss::zinb;
  const CountLogits logits = decode_logits(draw, conditions, want_dropout, random);
  const at::Tensor log_p = rscvi::log_likelihood(distribution_of(options_.reconstruction_loss), x, logits);
  return draw.z.dim() == 3 ? log_p.view({draw.z.size(0), draw.z.size(1)}) : log_p;
}

at::Tensor VaeImpl::draw_counts(const CountParameters& parameters, RandomStream& random) const {
  return rscvi::draw_counts(distribution_of(options_.reconstruction_loss), parameters.px_rate, parameters.px_r,
                            parameters.px_dropout, random);
}

LossTerms VaeImpl::loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) {
  const EncodedCells encoded = encode(minibatch.x, minibatch, random);
  const LatentDraw drawn = draw(encoded, std::nullopt, noise, random);
  return {-log_likelihood(minibatch.x, drawn, minibatch, random), kl_to_standard_normal(encoded.qz_m, encoded.qz_v),
          kl_of_library({encoded.ql_m, encoded.ql_v}, minibatch), at::Tensor(), at::Tensor(),
          {encoded.qz_m, encoded.qz_v}};
}

at::Tensor VaeImpl::objective(const LossTerms& terms, const KlWeight& kl_weight, double free_bits) const {
  if (free_bits > 0) {
    const at::Tensor by_dimension = kl_to_standard_normal(terms.qz.mean.unsqueeze(-1), terms.qz.variance.unsqueeze(-1));
    return terms.reconst_loss + terms.kl_l + kl_weight.times(by_dimension.mean(0).clamp_min(free_bits).sum());
  }
  return terms.reconst_loss + terms.kl_l + kl_weight.times(terms.kl_z);
}

at::Tensor VaeImpl::classify(const CellMatrix&, const Conditions&, RandomStream&) {
  throw InvalidArgument("this model predicts no labels: it has no classifier");
}

LossTerms VaeImpl::unlabelled_loss_terms(const Minibatch& minibatch, const Noise& noise, RandomStream& random) {
  throw InvalidArgument("this model predicts no labels: it has no classifier");
}

}  // namespace rscvi
