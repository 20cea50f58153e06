#include "core/base/matrix_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/base/instruction_set.h"
#include "core/base/waiting_signals.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace rscvi {
namespace {

// dnnl_sgemm() of oneDNN's C interface (its documentation, "BLAS functions"): C = alpha op(A) op(B) + beta C, all of
// them row by row, with op() as the letters say. 0: done.
using Sgemm = int (*)(char transpose_a, char transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                      const float* a, std::int64_t row_a, const float* b, std::int64_t row_b, float beta, float* c,
                      std::int64_t row_c);

Sgemm find_sgemm() {
#if defined(__unix__) || defined(__APPLE__)
  // Elsewhere oneDNN has loops in plain C++.
  if (best_instruction_set() == InstructionSet::portable) return nullptr;
  const auto found = reinterpret_cast<Sgemm>(dlsym(RTLD_DEFAULT, "dnnl_sgemm"));
  if (found == nullptr) return nullptr;
  // Once, to see that it may: it writes its kernels into memory that not every system lets it run.
  const float a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8};
  float c[] = {0, 0, 0, 0};
  const WaitingSignals scope;
  const int status = found('N', 'N', 2, 2, 2, 1.0F, a, 2, b, 2, 0.0F, c, 2);
  return status == 0 && c[0] == 19 && c[1] == 22 && c[2] == 43 && c[3] == 50 ? found : nullptr;
#else
  return nullptr;
#endif
}

const Sgemm& sgemm() {
  static const Sgemm function = find_sgemm();
  return function;
}

// A matrix as a BLAS wants it: row by row, or the transposed of one that is.
struct Operand {
  at::Tensor kept;  // owns the numbers
  char transpose;
  std::int64_t row;
};

Operand operand(const at::Tensor& x) {
  const std::int64_t rows = x.size(0), columns = x.size(1);
  const auto is_stretch = [&](std::int64_t dim) { return x.size(dim) == 1 || x.stride(dim) == 1; };
  if (is_stretch(1) && (rows == 1 || x.stride(0) >= columns)) return {x, 'N', rows == 1 ? columns : x.stride(0)};
  if (is_stretch(0) && (columns == 1 || x.stride(1) >= rows)) return {x, 'T', columns == 1 ? rows : x.stride(1)};
  return {x.contiguous(), 'N', columns};
}

bool is_for_sgemm(const at::Tensor& a, const at::Tensor& b) {
  const auto fits = [](const at::Tensor& x) {
    return x.dim() == 2 && x.numel() > 0 && x.device().is_cpu() && x.scalar_type() == at::kFloat;
  };
  const bool is_guarded = at::get_num_threads() == 1 || at::in_parallel_region() || reaches_threads();
  return is_guarded && sgemm() != nullptr && fits(a) && fits(b) && a.size(1) == b.size(0);
}

void multiply(const at::Tensor& a, const at::Tensor& b, float beta, at::Tensor& out) {
  const Operand left = operand(a), right = operand(b);
  const WaitingSignals scope;
  keep_signals_from_threads();
  const int status = sgemm()(left.transpose, right.transpose, a.size(0), b.size(1), a.size(1), 1.0F,
                             left.kept.data_ptr<float>(), left.row, right.kept.data_ptr<float>(), right.row, beta,
                             out.data_ptr<float>(), b.size(1));
  TORCH_CHECK(status == 0, "oneDNN's matrix product failed with status ", status);
}

}  // namespace

bool has_onednn_products() { return sgemm() != nullptr; }

at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b) {
  if (!is_for_sgemm(a, b)) return at::mm(a, b);
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options());
  multiply(a, b, 0.0F, out);
  return out;
}

void add_matrix_product(const at::Tensor& a, const at::Tensor& b, at::Tensor& out) {
  TORCH_CHECK(out.dim() == 2 && out.size(0) == a.size(0) && out.size(1) == b.size(1), "no room for the product");
  if (is_for_sgemm(a, b) && out.is_contiguous()) {
    multiply(a, b, 1.0F, out);
  } else {
    out.addmm_(a, b);
  }
}

}  // namespace rscvi
