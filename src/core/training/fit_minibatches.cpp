#include "core/training/fit_minibatches.h"

#include <ATen/ATen.h>

#include "core/base/errors.h"
#include "core/model/state.h"
#include "core/training/objective.h"
#include "core/training/optimiser.h"

namespace rscvi {
namespace {

at::Tensor fitting_loss(VaeImpl& model, const Minibatch& minibatch, const Noise& noise, const KlWeight& kl_weight,
                        const ClassificationOptions& classification, RandomStream& random) {
  if (!has_classifier(model.options().type)) return labelled_loss(model, minibatch, noise, kl_weight, random);
  const at::Tensor loss = unlabelled_loss(model, minibatch, noise, kl_weight, random);
  if (!minibatch.label.defined() || classification.ratio == 0) return loss;
  return loss + classification.ratio * classification_loss(model, minibatch, classification.double_softmax, random);
}

}  // namespace

std::vector<double> fit_minibatches(Vae model, const std::vector<Minibatch>& minibatches,
                                    const std::vector<Noise>& noise, double kl_weight,
                                    const ClassificationOptions& classification,
                                    const OptimiserOptions& optimiser_options, RandomStream& random) {
  Optimiser optimiser(model->parameters(), optimiser_options);
  model->train();
  std::vector<double> losses;
  for (std::size_t k = 0; k < minibatches.size(); ++k) {
    const at::Tensor loss = fitting_loss(*model, minibatches[k], noise[k], kl_weight, classification, random);
    losses.push_back(loss.item<double>());
    optimiser.step(loss);
  }
  model->eval();
  if (!is_finite(*model)) throw Diverged("the weights are no longer finite; use a lower learning rate");
  return losses;
}

}  // namespace rscvi
