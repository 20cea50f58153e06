// Training, as the glue sees it.
#pragma once

#include "core/api/dataset.h"
#include "core/api/model.h"
#include "core/base/monitor.h"
#include "core/training/train_options.h"

namespace rscvi::api {

// See core/training/trainer.h. The model is trained in place; it stays on the device that `use_cuda` asks for.
TrainResult train(Model& model, std::shared_ptr<const Dataset> dataset, const std::vector<std::int64_t>& train_cells,
                  const TrainOptions& options, std::optional<bool> use_cuda, std::uint64_t seed, Monitor& monitor);

bool cuda_is_available();
bool has_cuda_graphs();  // there is a GPU, and rscvi was built with them: core/training/step_graph.h

// See core/base/matrix_product.h, core/base/precision.h and core/base/blas_speed.h.
bool has_onednn_products();
bool has_bfloat16_products();
double matrix_product_gflops();
std::string faster_openblas_kernels();

}  // namespace rscvi::api
