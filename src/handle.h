// Objects of the core behind R's external pointers.
#pragma once

#include <Rcpp.h>

#include <memory>

#include "core/api/dataset.h"
#include "core/api/model.h"

namespace rscvi::glue {

// A data set reads R's memory in place, and keeps those R objects alive. (Not in the external pointer's protected slot,
// which saveRDS() would write out: the counts would be saved twice.)
struct DatasetHandle {
  std::shared_ptr<const Dataset> dataset;
  Rcpp::RObject counts, corrupted;
};

template <class T>
T& from_handle(SEXP handle) {
  T* object = TYPEOF(handle) == EXTPTRSXP ? static_cast<T*>(R_ExternalPtrAddr(handle)) : nullptr;
  // R/handles.R rebuilds pointers that died in saveRDS() or a fork before it comes here.
  if (object == nullptr) throw InternalError("a pointer into the core is dead");
  return *object;
}

}  // namespace rscvi::glue
