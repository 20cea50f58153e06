// What an api::Model holds. For the .cpp files of this folder alone.
#pragma once

#include "core/api/model.h"
#include "core/api/tensors.h"
#include "core/model/vae.h"

namespace rscvi::api {

struct Model::Handle {
  Vae vae{nullptr};
};

inline Noise to_noise(const NoiseArrays& noise) { return {to_tensor(noise.z), to_tensor(noise.library), to_tensor(noise.z2)}; }

}  // namespace rscvi::api
