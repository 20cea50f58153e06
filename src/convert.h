// R values to the core's types and back. R arrays are column-major doubles, the core's row-major floats.
#pragma once

#include <RcppEigen.h>

#include <optional>

#include "core/api/array.h"

namespace rscvi::glue {

using api::Array;
using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline std::vector<std::int64_t> dimensions(SEXP x) {
  SEXP dim = Rf_getAttrib(x, R_DimSymbol);
  if (Rf_isNull(dim)) return {static_cast<std::int64_t>(Rf_xlength(x))};
  const Rcpp::IntegerVector dims(dim);
  return std::vector<std::int64_t>(dims.begin(), dims.end());
}

// Calls visit(row_major_index, column_major_index) for every element of an array of that shape.
template <class Visit>
void for_each_element(const std::vector<std::int64_t>& shape, Visit&& visit) {
  std::int64_t n = 1;
  std::vector<std::int64_t> stride(shape.size());  // column-major: the first index runs fastest
  for (std::size_t d = 0; d < shape.size(); ++d) {
    stride[d] = n;
    n *= shape[d];
  }
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t column_major = 0;
  for (std::int64_t row_major = 0; row_major < n; ++row_major) {
    visit(row_major, column_major);
    for (std::size_t d = shape.size(); d-- > 0;) {
      column_major += stride[d];
      if (++index[d] < shape[d]) break;
      column_major -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
}

// NULL becomes an absent array; a vector has one dimension.
inline Array to_array(SEXP x) {
  Array array;
  if (Rf_isNull(x)) return array;
  const Rcpp::NumericVector values(x);
  array.shape = dimensions(x);
  array.data.resize(values.size());
  if (array.shape.size() == 2) {
    const Eigen::Map<const Eigen::MatrixXd> from(values.begin(), array.shape[0], array.shape[1]);
    Eigen::Map<RowMajorMatrix>(array.data.data(), array.shape[0], array.shape[1]) = from.cast<float>();
  } else {
    for_each_element(array.shape, [&](std::int64_t to, std::int64_t from) {
      array.data[to] = static_cast<float>(values[from]);
    });
  }
  return array;
}

// A single number (no dimension) becomes a number, one dimension a plain vector, more an array; absent becomes NULL.
inline SEXP to_r(const Array& array) {
  if (array.absent()) return R_NilValue;
  Rcpp::NumericVector values(array.data.size());
  if (array.shape.size() == 2) {
    const Eigen::Map<const RowMajorMatrix> from(array.data.data(), array.shape[0], array.shape[1]);
    Eigen::Map<Eigen::MatrixXd>(values.begin(), array.shape[0], array.shape[1]) = from.cast<double>();
  } else {
    for_each_element(array.shape, [&](std::int64_t from, std::int64_t to) { values[to] = array.data[from]; });
  }
  if (array.shape.size() > 1) values.attr("dim") = Rcpp::IntegerVector(array.shape.begin(), array.shape.end());
  return values;
}

inline Rcpp::List to_r(const api::NamedArrays& arrays) {
  Rcpp::List out(arrays.size());
  Rcpp::CharacterVector names(arrays.size());
  for (std::size_t k = 0; k < arrays.size(); ++k) {
    out[k] = to_r(arrays[k].second);
    names[k] = arrays[k].first;
  }
  out.names() = names;
  return out;
}

// 1-based codes or indices to 0-based ones; NULL becomes an empty vector.
inline std::vector<std::int64_t> to_zero_based(SEXP codes) {
  std::vector<std::int64_t> out;
  if (Rf_isNull(codes)) return out;
  const Rcpp::IntegerVector from(codes);
  out.reserve(from.size());
  for (const int code : from) out.push_back(code - std::int64_t{1});
  return out;
}

inline Rcpp::IntegerVector to_one_based(const std::vector<std::int64_t>& indices) {
  Rcpp::IntegerVector out(indices.size());
  for (std::size_t k = 0; k < indices.size(); ++k) out[k] = static_cast<int>(indices[k] + 1);
  return out;
}

template <class T>
std::optional<T> to_optional(SEXP x) {
  return Rf_isNull(x) ? std::nullopt : std::optional<T>(Rcpp::as<T>(x));
}

// Seeds travel as doubles: R has no 64-bit integer.
inline std::uint64_t to_seed(double seed) { return static_cast<std::uint64_t>(seed); }

// An element of a list of options that R/ has filled in completely.
template <class T>
T option(const Rcpp::List& options, const char* name) {
  if (!options.containsElementNamed(name)) throw InternalError(std::string("the glue got no option ") + name);
  return Rcpp::as<T>(options[name]);
}

}  // namespace rscvi::glue
