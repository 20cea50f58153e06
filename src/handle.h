// Objects of the core behind R's external pointers.
#pragma once

#include <Rcpp.h>

#include <memory>

#include "core/api/model.h"
#include "core/base/errors.h"
#include "core/data/dataset.h"

namespace rscvi::glue {

// A data set reads R's memory in place: the external pointer's protected slot holds those R objects.
struct DatasetHandle {
  std::shared_ptr<const Dataset> dataset;
};

template <class T>
T& from_handle(SEXP handle) {
  T* object = TYPEOF(handle) == EXTPTRSXP ? static_cast<T*>(R_ExternalPtrAddr(handle)) : nullptr;
  // R/handles.R rebuilds pointers that died in saveRDS() or a fork before it comes here.
  if (object == nullptr) throw InternalError("a pointer into the core is dead");
  return *object;
}

}  // namespace rscvi::glue
