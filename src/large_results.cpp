#include "large_results.h"

#include <R_ext/Altrep.h>
#include <R_ext/Memory.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "spare_pages.h"

#if RSCVI_MAPS_MEMORY
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace rscvi::glue {
namespace {

constexpr std::size_t smallest_result = std::size_t{4} << 20;  // bytes, as in what follows
// A column goes back to the system in whole pages: much shorter ones would wait for all others.
constexpr std::size_t smallest_column = std::size_t{1} << 16;
// So much may come on top of what was in use before R is asked to collect.
constexpr std::size_t between_collections = std::size_t{1} << 30;

std::size_t bytes_in_use = 0, bytes_at_collection = between_collections;

// Only what R does on its own thread comes here: no locks.
void collect() {
  R_gc();  // and its finalizers, which lower bytes_in_use
  bytes_at_collection = bytes_in_use + between_collections;
}

#if RSCVI_MAPS_MEMORY

// Never destroyed: a result may come back while the process ends.
SparePages& spare_pages() {
  static SparePages& spare = *new SparePages(std::size_t{512} << 20);
  return spare;
}

class Mapping {
 public:
  explicit Mapping(std::size_t n_bytes) : pages_(spare_pages().take(n_bytes)) {
    if (pages_.start == nullptr) pages_ = map_pages(n_bytes);
  }
  ~Mapping() { spare_pages().add(pages_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* start() const { return pages_.start; }

 private:
  Pages pages_;
};

// A result's numbers, and whether the whole of it has gone at once.
struct Result {
  explicit Result(std::size_t n_bytes) : mapping(n_bytes) {}
  Mapping mapping;
  bool is_gone = false;
};

// The numbers of one vector, n_bytes from `start` on; the mapping may hold other vectors' too.
struct Slice {
  Slice(std::shared_ptr<Result> whole, char* first, R_xlen_t n, std::size_t size)
      : result(std::move(whole)), start(first), length(n), n_bytes(size) {
    bytes_in_use += n_bytes;
  }
  ~Slice() {
    bytes_in_use -= n_bytes;
    bytes_at_collection = std::min(bytes_at_collection, bytes_in_use + between_collections);
    if (result.use_count() > 1 && !result->is_gone) give_back_pages();  // else the mapping goes as a whole
  }
  Slice(const Slice&) = delete;
  Slice& operator=(const Slice&) = delete;

  void give_back_pages() const {
    static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto first = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page;
    const auto end = (reinterpret_cast<std::uintptr_t>(start) + n_bytes) / page * page;
    if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
  }

  std::shared_ptr<Result> result;
  char* start;
  R_xlen_t length;
  std::size_t n_bytes;
};

std::size_t spare_size() { return spare_pages().n_bytes(); }

R_altrep_class_t numbers_class, integers_class;

// R's own errors jump: there is nothing to tidy up in the methods that follow.
const Slice& slice_of(SEXP vector) {
  const auto slice = static_cast<const Slice*>(R_ExternalPtrAddr(R_altrep_data1(vector)));
  if (slice == nullptr) Rf_error("the numbers of this vector are gone: a finalizer asked for them too late");
  return *slice;
}

void finalize(SEXP pointer) {
  delete static_cast<Slice*>(R_ExternalPtrAddr(pointer));
  R_ClearExternalPtr(pointer);
}

R_xlen_t length_of(SEXP vector) { return slice_of(vector).length; }
void* data_of(SEXP vector, Rboolean) { return slice_of(vector).start; }
const void* data_or_null(SEXP vector) { return slice_of(vector).start; }
double number_at(SEXP vector, R_xlen_t k) { return reinterpret_cast<const double*>(slice_of(vector).start)[k]; }
int integer_at(SEXP vector, R_xlen_t k) { return reinterpret_cast<const int*>(slice_of(vector).start)[k]; }

void set_methods(R_altrep_class_t kind) {
  R_set_altrep_Length_method(kind, length_of);
  R_set_altvec_Dataptr_method(kind, data_of);
  R_set_altvec_Dataptr_or_null_method(kind, data_or_null);
}

void register_classes(DllInfo* dll) {
  numbers_class = R_make_altreal_class("rscvi_numbers", "rscvi", dll);
  integers_class = R_make_altinteger_class("rscvi_integers", "rscvi", dll);
  set_methods(numbers_class);
  set_methods(integers_class);
  R_set_altreal_Elt_method(numbers_class, number_at);
  R_set_altinteger_Elt_method(integers_class, integer_at);
}

std::size_t size_of(SEXPTYPE type) { return type == REALSXP ? sizeof(double) : sizeof(int); }

// Room for n numbers of a type; nothing if this is no case for it, or the system has none.
std::shared_ptr<Result> map_for(SEXPTYPE type, R_xlen_t n) {
  const std::size_t n_bytes = size_of(type) * static_cast<std::size_t>(n);
  if (n_bytes < smallest_result) return nullptr;
  if (bytes_in_use + n_bytes > bytes_at_collection) collect();
  auto result = std::make_shared<Result>(n_bytes);
  if (result->mapping.start() == nullptr) {
    collect();
    spare_pages().drop_all();
    result = std::make_shared<Result>(n_bytes);
  }
  return result->mapping.start() != nullptr ? result : nullptr;
}

// whole: what the vector keeps alive (R_NilValue: nothing).
SEXP vector_in(const std::shared_ptr<Result>& result, SEXPTYPE type, R_xlen_t first, R_xlen_t n, SEXP whole) {
  const std::size_t size = size_of(type);
  const auto slice = new Slice(result, result->mapping.start() + static_cast<std::size_t>(first) * size, n,
                               static_cast<std::size_t>(n) * size);
  Rcpp::Shield<SEXP> pointer(R_MakeExternalPtr(slice, R_NilValue, whole));
  R_RegisterCFinalizerEx(pointer, finalize, FALSE);
  return R_new_altrep(type == REALSXP ? numbers_class : integers_class, pointer, R_NilValue);
}

// Where all columns of a result go at once, their pages need not be given back one after another. Every column keeps an
// R object alive, which therefore goes with the last of them, and tells so. R asks the newest finalizers first: this
// one before the columns' own. In another order the pages go one by one, which takes longer.
void finalize_whole(SEXP pointer) {
  const auto result = static_cast<std::shared_ptr<Result>*>(R_ExternalPtrAddr(pointer));
  if (result == nullptr) return;
  (*result)->is_gone = true;
  delete result;
  R_ClearExternalPtr(pointer);
}

Rcpp::List columns_in(const std::shared_ptr<Result>& result, R_xlen_t n_columns, R_xlen_t n) {
  Rcpp::List out(n_columns);
  Rcpp::Shield<SEXP> whole(R_MakeExternalPtr(new std::shared_ptr<Result>(result), R_NilValue, R_NilValue));
  for (R_xlen_t k = 0; k < n_columns; ++k) SET_VECTOR_ELT(out, k, vector_in(result, REALSXP, k * n, n, whole));
  R_RegisterCFinalizerEx(whole, finalize_whole, FALSE);
  return out;
}

#else

struct Result {};
std::size_t spare_size() { return 0; }
void register_classes(DllInfo*) {}
std::shared_ptr<Result> map_for(SEXPTYPE, R_xlen_t) { return nullptr; }
SEXP vector_in(const std::shared_ptr<Result>&, SEXPTYPE, R_xlen_t, R_xlen_t, SEXP) { return R_NilValue; }
Rcpp::List columns_in(const std::shared_ptr<Result>&, R_xlen_t, R_xlen_t) { return Rcpp::List(); }

#endif

}  // namespace

SEXP large_vector(SEXPTYPE type, R_xlen_t n) {
  const std::shared_ptr<Result> result = map_for(type, n);
  return result ? vector_in(result, type, 0, n, R_NilValue) : Rf_allocVector(type, n);
}

Rcpp::List large_columns(R_xlen_t n_columns, R_xlen_t n, std::vector<double*>& columns) {
  const bool are_long = static_cast<std::size_t>(n) * sizeof(double) >= smallest_column;
  const std::shared_ptr<Result> result = are_long ? map_for(REALSXP, n_columns * n) : nullptr;
  Rcpp::List out(n_columns);
  if (result) {
    out = columns_in(result, n_columns, n);
  } else {
    for (R_xlen_t k = 0; k < n_columns; ++k) SET_VECTOR_ELT(out, k, Rf_allocVector(REALSXP, n));
  }
  columns.clear();
  for (R_xlen_t k = 0; k < n_columns; ++k) columns.push_back(REAL(VECTOR_ELT(out, k)));
  return out;
}

double mapped_bytes() { return static_cast<double>(bytes_in_use); }
double spare_bytes() { return static_cast<double>(spare_size()); }

}  // namespace rscvi::glue

// [[Rcpp::init]]
void register_large_results(DllInfo* dll) { rscvi::glue::register_classes(dll); }

// [[Rcpp::export(rng = false)]]
double mapped_bytes_cpp() { return rscvi::glue::mapped_bytes(); }

// [[Rcpp::export(rng = false)]]
double spare_bytes_cpp() { return rscvi::glue::spare_bytes(); }
