// A model of any type, from its options.
#pragma once

#include "core/model/vae.h"

namespace rscvi {

Vae make_model(const VaeOptions& options, RandomStream& random);

}  // namespace rscvi
