#include "core/base/precision.h"

#include <ATen/Context.h>

#include "core/base/errors.h"
#include "core/base/instruction_set.h"

namespace rscvi {
namespace {

Precision& in_use() {
  thread_local Precision precision = Precision::single;
  return precision;
}

}  // namespace

Precision parse_precision(const std::string& name) {
  if (name == "single") return Precision::single;
  if (name == "bfloat16") return Precision::bfloat16;
  throw InvalidArgument("precision must be \"single\" or \"bfloat16\", not \"" + name + "\"");
}

Precision precision() { return in_use(); }

PrecisionScope::PrecisionScope(Precision wanted) : before_(in_use()) { in_use() = wanted; }

PrecisionScope::~PrecisionScope() { in_use() = before_; }

bool has_bfloat16_products() {
  static const bool has = has_avx512_bf16() && at::hasMKLDNN() && at::globalContext().userEnabledMkldnn();
  return has;
}

}  // namespace rscvi
