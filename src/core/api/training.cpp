#include "core/api/training.h"

#include "core/api/model_handle.h"
#include "core/base/blas_speed.h"
#include "core/base/device.h"
#include "core/base/matrix_product.h"
#include "core/base/precision.h"
#include "core/training/step_graph.h"
#include "core/training/trainer.h"

namespace rscvi::api {

TrainResult train(Model& model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                  const TrainOptions& options, std::optional<bool> use_cuda, std::uint64_t seed, Monitor& monitor) {
  return translate_errors([&] {
    Vae vae = model.handle().vae;
    vae->to(resolve_device(use_cuda));
    return rscvi::train(vae, std::move(dataset), train_cells, options, RandomStream(seed), monitor);
  });
}

bool has_onednn_products() {
  return translate_errors([] { return rscvi::has_onednn_products(); });
}

bool has_bfloat16_products() {
  return translate_errors([] { return rscvi::has_bfloat16_products(); });
}

double matrix_product_gflops() {
  return translate_errors([] { return rscvi::matrix_product_gflops(); });
}

std::string faster_openblas_kernels() {
  return translate_errors([] { return rscvi::faster_openblas_kernels(); });
}

bool cuda_is_available() {
  return translate_errors([] { return rscvi::cuda_is_available(); });
}

bool has_cuda_graphs() {
  return translate_errors([] { return rscvi::cuda_is_available() && has_step_graphs(c10::Device(c10::kCUDA)); });
}

}  // namespace rscvi::api
