#include "core/training/train_options.h"

#include "core/base/errors.h"

namespace rscvi {

std::string name_of(Metric metric) {
  switch (metric) {
    case Metric::elbo: return "elbo";
    case Metric::accuracy: return "accuracy";
    default: return "reconstruction_error";
  }
}

bool smaller_is_better(Metric metric) { return metric != Metric::accuracy; }

Metric parse_metric(const std::string& option, const std::string& name) {
  for (const Metric metric : {Metric::elbo, Metric::reconstruction_error, Metric::accuracy}) {
    if (name == name_of(metric)) return metric;
  }
  throw InvalidArgument(option + " must be \"elbo\", \"reconstruction_error\" or \"accuracy\", not \"" + name + "\"");
}

}  // namespace rscvi
