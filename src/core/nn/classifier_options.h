// How a classifier is built. No LibTorch header here: the glue reads this type too.
#pragma once

#include <cstdint>

namespace rscvi {

// Defaults are those of scvi 0.6.8's Classifier.
struct ClassifierOptions {
  std::int64_t n_hidden = 128;
  std::int64_t n_layers = 1;  // hidden ones; 0: a linear classifier
  double dropout_rate = 0.1;
};

}  // namespace rscvi
