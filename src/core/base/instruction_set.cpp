#include "core/base/instruction_set.h"

#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rscvi {
namespace {

InstructionSet& in_use() {
  static InstructionSet set = best_instruction_set();
  return set;
}

}  // namespace

InstructionSet best_instruction_set() {
#if defined(__x86_64__)
  static const InstructionSet best = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return avx512 && avx2 ? InstructionSet::avx512 : avx2 ? InstructionSet::avx2 : InstructionSet::portable;
  }();
  return best;
#else
  return InstructionSet::portable;
#endif
}

bool has_avx512_bf16() {
#if defined(__x86_64__)
  // By number: compilers of before 2020 do not know it by name.
  unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (best_instruction_set() != InstructionSet::avx512 || __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) == 0) {
    return false;
  }
  return (eax >> 5 & 1) != 0;
#else
  return false;
#endif
}

InstructionSet instruction_set() { return in_use(); }

InstructionSetScope::InstructionSetScope(InstructionSet wanted) : before_(in_use()) {
  in_use() = std::min(wanted, best_instruction_set());
}

InstructionSetScope::~InstructionSetScope() { in_use() = before_; }

}  // namespace rscvi
