// Which of the instruction sets that kernels are compiled for (for_each_target.inl) this processor runs.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rscvi {

enum class InstructionSet { portable, avx2, avx512 };

// The best that the processor has; found out once.
InstructionSet best_instruction_set();

// Whether the processor multiplies numbers in bfloat16 as well (AVX512-BF16).
bool has_avx512_bf16();

// The one that kernels use: the best, unless a test asked for another.
InstructionSet instruction_set();

// While it lives, kernels use this one, or the best if the processor lacks it. For tests: not for several threads.
class InstructionSetScope {
 public:
  explicit InstructionSetScope(InstructionSet wanted);
  ~InstructionSetScope();
  InstructionSetScope(const InstructionSetScope&) = delete;
  InstructionSetScope& operator=(const InstructionSetScope&) = delete;

 private:
  InstructionSet before_;
};

// The function of that name for the instruction set in use.
#if defined(__x86_64__)
#define RSCVI_CHOOSE_KERNEL(name)                                                                             \
  (::rscvi::instruction_set() == ::rscvi::InstructionSet::avx512                                              \
       ? &avx512::name                                                                                        \
       : ::rscvi::instruction_set() == ::rscvi::InstructionSet::avx2 ? &avx2::name : &portable::name)
#else
#define RSCVI_CHOOSE_KERNEL(name) (&portable::name)
#endif

}  // namespace rscvi
