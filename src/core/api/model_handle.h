// What an api::Model holds. For the .cpp files of this folder alone.
#pragma once

#include "core/api/model.h"
#include "core/api/tensors.h"
#include "core/model/vae.h"
#include "core/nn/classifier.h"

namespace rscvi::api {

// One of the two, the other is empty; LibTorch throws where an empty one is used.
struct Model::Handle {
  Vae vae{nullptr};
  Classifier classifier{nullptr};

  std::shared_ptr<torch::nn::Module> module() const {
    if (vae.is_empty()) return classifier.ptr();
    return vae.ptr();
  }
};

inline Noise to_noise(const NoiseArrays& noise) {
  return {to_tensor(noise.z), to_tensor(noise.library), to_tensor(noise.z2)};
}

}  // namespace rscvi::api
