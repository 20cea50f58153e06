// What a classifier sees of cells, as R hands it in: the handle of a sampling model, or NULL for the counts.
#pragma once

#include "core/api/classifier.h"
#include "handle.h"

namespace rscvi::glue {

inline api::ClassifierInput to_classifier_input(SEXP sampling_model, bool with_library) {
  api::ClassifierInput input;
  if (!Rf_isNull(sampling_model)) input.sampling_model = from_handle<api::Model>(sampling_model);
  input.with_library = with_library;
  return input;
}

}  // namespace rscvi::glue
