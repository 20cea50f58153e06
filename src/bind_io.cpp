// Glue: files.
#include <RcppEigen.h>

#include "convert.h"
#include "core/api/io.h"
#include "handle.h"

using rscvi::api::Model;
using rscvi::glue::for_each_element;
using rscvi::glue::from_handle;

namespace io = rscvi::io;

namespace {

// Strings of files are UTF-8, whatever the session's encoding is.
SEXP to_r_string(const std::string& text) {
  return Rf_mkCharLenCE(text.data(), static_cast<int>(text.size()), CE_UTF8);
}

// `values` in row-major order, as R/pack.R prepares them.
io::TensorSource narrowed(const std::string& name, SEXP values, const Rcpp::IntegerVector& shape,
                          std::vector<std::vector<char>>& kept_alive) {
  const auto n = static_cast<std::size_t>(Rf_xlength(values));
  const auto narrow = [&](const auto* from) {
    const io::Dtype dtype = io::narrowest(from, n);
    kept_alive.push_back(io::converted(from, n, dtype));
    return dtype;
  };
  io::Dtype dtype;
  switch (TYPEOF(values)) {
    case LGLSXP: dtype = narrow(LOGICAL(values)); break;
    case INTSXP: dtype = narrow(INTEGER(values)); break;
    case REALSXP: dtype = narrow(REAL(values)); break;
    default: throw rscvi::InternalError("the glue got a tensor that is not numeric: " + name);
  }
  std::vector<std::int64_t> extents(shape.begin(), shape.end());
  if (extents.empty()) extents.push_back(static_cast<std::int64_t>(n));
  if (io::n_bytes(dtype, extents) != kept_alive.back().size()) {
    throw rscvi::InternalError("the glue got a tensor of another shape: " + name);
  }
  return {name, dtype, extents, kept_alive.back().data()};
}

}  // namespace

// [[Rcpp::export(rng = false)]]
void file_write_cpp(std::string file, Rcpp::RawVector bytes) {
  io::OutputFile out(file);
  out.write(bytes.begin(), static_cast<std::size_t>(bytes.size()));
  out.finish();
}

// [[Rcpp::export(rng = false)]]
void tensors_write_cpp(std::string file, Rcpp::List values, Rcpp::List shapes) {
  const Rcpp::CharacterVector names = values.size() > 0 ? values.names() : Rcpp::CharacterVector();
  std::vector<std::vector<char>> kept_alive;
  std::vector<io::TensorSource> tensors;
  for (R_xlen_t k = 0; k < values.size(); ++k) {
    tensors.push_back(narrowed(Rcpp::as<std::string>(names[k]), values[k],
                               Rf_isNull(shapes[k]) ? Rcpp::IntegerVector() : Rcpp::IntegerVector(shapes[k]),
                               kept_alive));
  }
  io::write_safetensors(file, tensors);
}

// One tensor as a vector of that type, in row-major order.
// [[Rcpp::export(rng = false)]]
SEXP tensor_read_cpp(std::string file, std::string name, std::string type) {
  io::SafetensorsFile in(file);
  const io::TensorInfo& tensor = in.find(name);
  const auto n = static_cast<R_xlen_t>((tensor.end - tensor.begin) / io::size_of(tensor.dtype));
  if (type == "double") {
    Rcpp::NumericVector out(n);
    in.read_values(tensor, out.begin());
    return out;
  }
  Rcpp::IntegerVector out(n);
  in.read_values(tensor, out.begin());
  return out;
}

// All tensors as R arrays; a single number and one dimension are plain vectors.
// [[Rcpp::export(rng = false)]]
Rcpp::List safetensors_read_cpp(std::string file) {
  io::SafetensorsFile in(file);
  const auto& tensors = in.header().tensors;
  Rcpp::List out(tensors.size());
  Rcpp::CharacterVector names(tensors.size());
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const auto& tensor = tensors[k];
    std::vector<double> from((tensor.end - tensor.begin) / io::size_of(tensor.dtype));
    in.read_values(tensor, from.data());
    Rcpp::NumericVector to(from.size());
    if (!from.empty()) for_each_element(tensor.shape, [&](std::int64_t a, std::int64_t b) { to[b] = from[a]; });
    if (tensor.shape.size() > 1) to.attr("dim") = Rcpp::IntegerVector(tensor.shape.begin(), tensor.shape.end());
    out[k] = to;
    names[k] = to_r_string(tensor.name);
  }
  out.names() = names;
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector safetensors_metadata_cpp(std::string file) {
  const io::SafetensorsFile in(file);
  const io::Metadata& metadata = in.header().metadata;
  Rcpp::CharacterVector values(metadata.size()), names(metadata.size());
  for (std::size_t k = 0; k < metadata.size(); ++k) {
    names[k] = to_r_string(metadata[k].first);
    values[k] = to_r_string(metadata[k].second);
  }
  values.names() = names;
  return values;
}

// [[Rcpp::export(rng = false)]]
void model_save_state_cpp(SEXP model, std::string file, Rcpp::CharacterVector metadata) {
  io::Metadata pairs;
  const Rcpp::CharacterVector names = metadata.names();
  for (R_xlen_t k = 0; k < metadata.size(); ++k) {
    pairs.emplace_back(Rcpp::as<std::string>(names[k]), Rcpp::as<std::string>(metadata[k]));
  }
  rscvi::api::save_state(from_handle<Model>(model), file, pairs);
}

// [[Rcpp::export(rng = false)]]
void model_load_file_cpp(SEXP model, std::string file) { rscvi::api::load_state(from_handle<Model>(model), file); }
