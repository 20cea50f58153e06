// Log-likelihood of all counts of one cell, and its derivatives, in one vectorised pass from what a decoder gives.
//
//   rho = softmax(logits + logits_bias),  mu = exp(log_library) rho,  theta = exp(log_theta),
//   pi = dropout + dropout_bias: logit of the dropout probability
//
// with the formulas of count_kernels.h. Most counts are 0: the pass treats every gene as one, without a look at the
// counts; the few positive counts are then done and take the place of what stands there. Arithmetic is in T, but for
// counts above 8, counts that are no whole numbers, and a theta below 1e-4, which are done in double. A logit of the
// shares or a library that is not finite gives NaN; one of the dropout, or a log_theta, is not looked for.
#pragma once

#include <cstdint>
#include <vector>

namespace rscvi {

// Inverse dispersion of G genes as the pass wants it.
template <class T>
struct ThetaRow {
  std::vector<T> theta;    // at least 1e-30
  std::vector<T> inverse;  // 1 / (theta + 1e-8)
};

// One cell. The memory is somebody else's.
template <class T>
struct CountRow {
  std::int64_t n_genes = 0;
  const T* logits = nullptr;
  const T* logits_bias = nullptr;  // (G), as is dropout's
  T log_library = 0;
  const ThetaRow<T>* theta = nullptr;  // null for Poisson
  const T* dropout = nullptr;          // null unless zero-inflated
  const T* dropout_bias = nullptr;
  std::int64_t n_stored = 0;           // counts that are stored; those of other genes are 0
  const std::int32_t* gene = nullptr;
  const float* count = nullptr;

  // Derivatives of the log-likelihood, (G) each; all null where the value alone is wanted.
  T* d_logits = nullptr;
  T* d_log_theta = nullptr;  // null for Poisson
  T* d_dropout = nullptr;    // null unless zero-inflated
  T d_log_library = 0;
};

// What a thread needs to work with, whatever the row.
template <class T>
struct CountScratch {
  std::vector<T> share;    // (G) exp(logit - some shift)
  std::vector<T> is_zero;  // (G) 1 where the count is 0, else 0; all 1 between cells
  // Columns of the positive counts, `stride` long each: those that T is good for and those that need double, how many
  // they are, and their genes.
  std::vector<T> usual;
  std::vector<double> special;
  std::vector<std::int32_t> place;
  std::int64_t stride = 0, n_usual = 0, n_special = 0;
};

enum class CountFamily { zinb, nb, poisson };

// The kernels for the processor at hand. T: float, or double for tests.
template <class T>
struct CountRowKernels {
  void (*prepare_theta)(const T* log_theta, std::int64_t n_genes, ThetaRow<T>& out);
  // What is the same for all draws of a cell that share its theta: counts, theta and dropout_bias are
  // looked at, and whether there is room for derivatives.
  void (*prepare)(CountFamily family, const CountRow<T>& row, CountScratch<T>& scratch);
  // Of a draw of the cell that was prepared last: fills the row's derivatives, if it has room for them, and gives the
  // value in nats.
  double (*evaluate)(CountFamily family, CountRow<T>& row, CountScratch<T>& scratch);
  // Before another cell is prepared.
  void (*forget)(CountScratch<T>& scratch);
  // Softmax of logits + bias in place of the logits, n numbers each.
  void (*softmax)(std::int64_t n, T* logits, const T* bias);
  // ln of the sum of exp(logit + bias); the logits are spent.
  T (*log_sum_exp)(std::int64_t n, T* logits, const T* bias);
  // exp(logit - log_normaliser) in place of the logits.
  void (*shares)(std::int64_t n, T log_normaliser, T* logits);
  // row *= by, then sum += row; n numbers each.
  void (*scale_and_add)(T by, std::int64_t n, T* row, T* sum);
  // sum += by * row
  void (*add_scaled)(T by, std::int64_t n, const T* row, T* sum);
};
template <class T>
CountRowKernels<T> count_row_kernels();

}  // namespace rscvi
