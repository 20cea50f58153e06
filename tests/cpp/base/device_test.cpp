#include "core/base/device.h"

#include "core/base/errors.h"
#include "test.h"

using namespace rscvi;

TEST_CASE("device: the CPU is always to be had, a GPU only if there is one") {
  CHECK(resolve_device(false).is_cpu());
  CHECK(resolve_device(std::nullopt).is_cuda() == cuda_is_available());
  if (cuda_is_available()) {
    CHECK(resolve_device(true).is_cuda());
  } else {
    CHECK_THROWS_WITH_AS(resolve_device(true),
                         "a GPU was asked for, but this LibTorch sees none; use the CPU, or install a LibTorch with "
                         "CUDA and check that the driver works (nvidia-smi)",
                         DeviceError);
  }
}
