// How precise the large matrix products of training are.
//
// bfloat16 has the exponents of a float and 8 significant bits: processors that know it (AVX512-BF16, AMX) multiply it
// at twice the speed or more. Weights and all else stay in single precision (Micikevicius et al. 2018,
// "Mixed precision training", section 3.1).
#pragma once

#include <string>

namespace rscvi {

enum class Precision { single, bfloat16 };

// "single" or "bfloat16"; InvalidArgument for any other name.
Precision parse_precision(const std::string& name);

// Of the products that this thread makes: single, unless a scope says otherwise.
Precision precision();

// While it lives, this thread's large products are of this precision.
class PrecisionScope {
 public:
  explicit PrecisionScope(Precision wanted);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  Precision before_;
};

// True where products in bfloat16 are made by the processor's own instructions: it has them, and LibTorch has oneDNN,
// whose kernels use them. Elsewhere they would be many times slower than in single precision.
bool has_bfloat16_products();

}  // namespace rscvi
