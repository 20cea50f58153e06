#include "core/training/plan.h"

namespace rscvi {

double MetricValues::at(Metric metric) const {
  switch (metric) {
    case Metric::elbo: return elbo;
    case Metric::accuracy: return accuracy;
    default: return reconstruction_error;
  }
}

PlanData::PlanData(std::shared_ptr<const Dataset> cells, const TrainOptions& options)
    : dataset(std::move(cells)),
      counts(options.corrupted ? CountsKind::corrupted : CountsKind::observed),
      batch_size(options.batch_size),
      largest_on_device(options.largest_on_device) {}

Minibatch PlanData::gather(const std::int64_t* cells, std::int64_t n_cells, c10::Device device) {
  if (!device.is_cpu() && !has_tried_device_) {
    has_tried_device_ = true;
    on_device = DeviceCells::load(*dataset, counts, device, largest_on_device);
  }
  return gather_minibatch(on_device.get(), *dataset, cells, n_cells, counts, device);
}

}  // namespace rscvi
