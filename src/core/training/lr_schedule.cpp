#include "core/training/lr_schedule.h"

#include "core/base/errors.h"

namespace rscvi {

LrSchedule parse_lr_schedule(const std::string& name) {
  if (name == "constant") return LrSchedule::constant;
  if (name == "cosine") return LrSchedule::cosine;
  throw InvalidArgument("lr_schedule must be \"constant\" or \"cosine\", not \"" + name + "\"");
}

}  // namespace rscvi
