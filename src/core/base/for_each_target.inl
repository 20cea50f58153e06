// Compiles one file of kernels for several instruction sets, in namespaces of their names, so that the processor's best
// can be chosen at run time (instruction_set.h). Not a header: each .cpp of kernels includes it once,
//
//   #define RSCVI_KERNELS "core/distributions/count_rows.inl"
//   #include "core/base/for_each_target.inl"
//
// within a namespace and after all other headers, instruction_set.h among them. In the kernels every function starts
// with RSCVI_KERNEL (or RSCVI_KERNEL_HELPER, to be inlined), lambdas are out of the question (they would be of the
// portable set), and vectors are those of vector_math.inl. Compiler flags for whole files would not do: the linker
// keeps one copy of a standard library's inline function, and it could be one that this processor lacks the
// instructions for.

// Vectors wider than a target's registers never cross a function that is not inlined.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the compiler's own intrinsics

#define RSCVI_VECTOR_BYTES 16
#define RSCVI_KERNEL
#define RSCVI_KERNEL_HELPER static inline __attribute__((always_inline))
namespace portable {
#include "core/base/vector_math.inl"
#include RSCVI_KERNELS
}  // namespace portable
#undef RSCVI_VECTOR_BYTES
#undef RSCVI_KERNEL
#undef RSCVI_KERNEL_HELPER

#if defined(__x86_64__)

#define RSCVI_VECTOR_BYTES 32
#define RSCVI_KERNEL __attribute__((target("avx2,fma")))
#define RSCVI_KERNEL_HELPER static inline __attribute__((always_inline, target("avx2,fma")))
namespace avx2 {
#include "core/base/vector_math.inl"
#include RSCVI_KERNELS
}  // namespace avx2
#undef RSCVI_VECTOR_BYTES
#undef RSCVI_KERNEL
#undef RSCVI_KERNEL_HELPER

#define RSCVI_VECTOR_BYTES 64
#define RSCVI_KERNEL __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define RSCVI_KERNEL_HELPER \
  static inline __attribute__((always_inline, target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
namespace avx512 {
#include "core/base/vector_math.inl"
#include RSCVI_KERNELS
}  // namespace avx512
#undef RSCVI_VECTOR_BYTES
#undef RSCVI_KERNEL
#undef RSCVI_KERNEL_HELPER

#endif

#undef RSCVI_KERNELS
#pragma GCC diagnostic pop
