// The training loop (Kingma & Welling 2014; schedule and bookkeeping of scvi 0.6.8, inference/trainer.py).
#pragma once

#include <memory>
#include <vector>

#include "core/base/monitor.h"
#include "core/data/dataset.h"
#include "core/model/vae.h"
#include "core/training/train_options.h"

namespace rscvi {

// Minimises the mean over cells of reconst_loss + kl_l + w kl_z on `train_cells`, w the warm-up weight, with Adam.
// Each epoch visits the cells in a new random order; a minibatch of fewer than 3 cells is skipped.
// On divergence the model is put back to the end of the last epoch whose weights are finite and gave a finite loss.
TrainResult train(Vae model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                  const TrainOptions& options, const RandomStream& random, Monitor& monitor);

}  // namespace rscvi
