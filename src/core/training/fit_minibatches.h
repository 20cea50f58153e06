// Steps on minibatches of one's own, for custom loops and exact tests.
#pragma once

#include <vector>

#include "core/model/vae.h"
#include "core/training/train_options.h"

namespace rscvi {

// One step of one Adam per minibatch, in order; the losses before each step. Noise per minibatch may be undefined.
// Models with a classifier: the loss without a look at the labels, plus that of the classifier where there are labels.
// Diverged if the weights are not finite in the end.
std::vector<double> fit_minibatches(Vae model, const std::vector<Minibatch>& minibatches,
                                    const std::vector<Noise>& noise, double kl_weight,
                                    const ClassificationOptions& classification,
                                    const OptimiserOptions& optimiser, RandomStream& random);

}  // namespace rscvi
