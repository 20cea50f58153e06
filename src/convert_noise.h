// Standard normal draws that the user hands in: list(z =, library =, z2 =), any of them NULL or missing.
#pragma once

#include "convert.h"
#include "core/api/model.h"

namespace rscvi::glue {

inline api::NoiseArrays to_noise(const Rcpp::List& noise) {
  api::NoiseArrays arrays;
  if (noise.containsElementNamed("z")) arrays.z = to_array(noise["z"]);
  if (noise.containsElementNamed("library")) arrays.library = to_array(noise["library"]);
  if (noise.containsElementNamed("z2")) arrays.z2 = to_array(noise["z2"]);
  return arrays;
}

}  // namespace rscvi::glue
