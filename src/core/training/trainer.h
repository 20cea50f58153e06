// The training loop (Kingma & Welling 2014; schedule and bookkeeping of scvi 0.6.8, inference/trainer.py).
#pragma once

#include <memory>
#include <vector>

#include "core/base/monitor.h"
#include "core/data/dataset.h"
#include "core/model/vae.h"
#include "core/training/plan.h"

namespace rscvi {

// Minimises the plan's loss on `train_cells` with Adam, over what the options say is trained. Each epoch visits the
// cells in a new random order; a minibatch of fewer than 3 cells is skipped. On divergence the module is put back to
// the end of the last epoch whose weights are finite and gave a finite loss.
TrainResult train(Plan& plan, const std::vector<std::int64_t>& train_cells, const TrainOptions& options,
                  const RandomStream& random, Monitor& monitor);

// A model of counts, by the plan that the options ask for: the mean over cells of reconst_loss + kl_l + w kl_z, w the
// warm-up weight, and what semi_supervised.h says.
TrainResult train(Vae model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                  const TrainOptions& options, const RandomStream& random, Monitor& monitor);

}  // namespace rscvi
