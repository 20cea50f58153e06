// An api::Posterior as the core's. For the .cpp files of this folder alone.
#pragma once

#include "core/api/model_handle.h"
#include "core/api/posterior.h"
#include "core/base/device.h"
#include "core/posterior/posterior.h"

namespace rscvi::api {

// Moves the model to the device that the posterior asks for.
inline rscvi::Posterior to_core(const Posterior& posterior) {
  rscvi::Posterior core;
  core.model = posterior.model.handle().vae;
  core.model->to(resolve_device(posterior.use_cuda));
  core.dataset = posterior.dataset;
  core.cells = posterior.cells;
  core.batch_size = posterior.batch_size;
  core.counts = posterior.corrupted ? CountsKind::corrupted : CountsKind::observed;
  core.poll = posterior.poll;
  return core;
}

}  // namespace rscvi::api
