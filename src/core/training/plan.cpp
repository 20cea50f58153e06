#include "core/training/plan.h"

namespace rscvi {

double MetricValues::at(Metric metric) const {
  switch (metric) {
    case Metric::elbo: return elbo;
    case Metric::accuracy: return accuracy;
    default: return reconstruction_error;
  }
}

PlanData::PlanData(std::shared_ptr<const Dataset> cells, const TrainOptions& options, c10::Device module_device)
    : dataset(std::move(cells)),
      counts(options.corrupted ? CountsKind::corrupted : CountsKind::observed),
      batch_size(options.batch_size),
      device(module_device) {
  const std::int64_t largest = options.largest_on_device.value_or(device.is_cpu() ? 0 : largest_on_gpu);
  if (largest > 0) on_device = DeviceCells::load(*dataset, counts, device, largest);
}

Minibatch PlanData::gather(const std::int64_t* cells, std::int64_t n_cells) const {
  return gather_minibatch(on_device.get(), *dataset, cells, n_cells, counts, device);
}

}  // namespace rscvi
