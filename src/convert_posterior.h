// A posterior as R hands it over: see posterior_core() in R/Posterior.R.
#pragma once

#include "convert.h"
#include "core/api/posterior.h"
#include "handle.h"

namespace rscvi::glue {

// model and dataset handles, cells (1-based), batch_size, corrupted, use_cuda.
inline api::Posterior to_posterior(const Rcpp::List& list) {
  return api::Posterior{from_handle<api::Model>(list["model"]),
                        from_handle<DatasetHandle>(list["dataset"]).dataset,
                        to_zero_based(list["cells"]),
                        option<int>(list, "batch_size"),
                        option<bool>(list, "corrupted"),
                        to_optional<bool>(list["use_cuda"])};
}

}  // namespace rscvi::glue
