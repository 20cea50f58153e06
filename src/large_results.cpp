#include "large_results.h"

#include <R_ext/Altrep.h>
#include <R_ext/Memory.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#define RSCVI_MAPS_MEMORY 1
#else
#define RSCVI_MAPS_MEMORY 0
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

// Memory from the system, in pages of 2 MB where it has them.
class Mapping {
 public:
  explicit Mapping(std::size_t n_bytes) : n_bytes_(n_bytes) {
    start_ = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start_ == MAP_FAILED) start_ = nullptr;
#ifdef MADV_HUGEPAGE
    if (start_ != nullptr) madvise(start_, n_bytes_, MADV_HUGEPAGE);  // a hint: it may fail
#endif
  }
  ~Mapping() {
    if (start_ != nullptr) munmap(start_, n_bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* start() const { return static_cast<char*>(start_); }

 private:
  void* start_;
  std::size_t n_bytes_;
};

// The numbers of one vector, n_bytes from `start` on; the mapping may hold other vectors' too.
struct Slice {
  Slice(std::shared_ptr<Mapping> memory, char* first, R_xlen_t n, std::size_t size)
      : mapping(std::move(memory)), start(first), length(n), n_bytes(size) {
    bytes_in_use += n_bytes;
  }
  ~Slice() {
    bytes_in_use -= n_bytes;
    bytes_at_collection = std::min(bytes_at_collection, bytes_in_use + between_collections);
    if (mapping.use_count() > 1) give_back_pages();  // else the mapping goes as a whole
  }
  Slice(const Slice&) = delete;
  Slice& operator=(const Slice&) = delete;

  void give_back_pages() const {
    static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto first = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page;
    const auto end = (reinterpret_cast<std::uintptr_t>(start) + n_bytes) / page * page;
    if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
  }

  std::shared_ptr<Mapping> mapping;
  char* start;
  R_xlen_t length;
  std::size_t n_bytes;
};

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
std::shared_ptr<Mapping> map_for(SEXPTYPE type, R_xlen_t n) {
  const std::size_t n_bytes = size_of(type) * static_cast<std::size_t>(n);
  if (n_bytes < smallest_result) return nullptr;
  if (bytes_in_use + n_bytes > bytes_at_collection) collect();
  auto mapping = std::make_shared<Mapping>(n_bytes);
  if (mapping->start() == nullptr) {
    collect();
    mapping = std::make_shared<Mapping>(n_bytes);
  }
  return mapping->start() != nullptr ? mapping : nullptr;
}

SEXP vector_in(const std::shared_ptr<Mapping>& mapping, SEXPTYPE type, R_xlen_t first, R_xlen_t n) {
  const std::size_t size = size_of(type);
  const auto slice = new Slice(mapping, mapping->start() + static_cast<std::size_t>(first) * size, n,
                               static_cast<std::size_t>(n) * size);
  Rcpp::Shield<SEXP> pointer(R_MakeExternalPtr(slice, R_NilValue, R_NilValue));
  R_RegisterCFinalizerEx(pointer, finalize, FALSE);
  return R_new_altrep(type == REALSXP ? numbers_class : integers_class, pointer, R_NilValue);
}

#else

struct Mapping {
  char* start() const { return nullptr; }
};
void register_classes(DllInfo*) {}
std::shared_ptr<Mapping> map_for(SEXPTYPE, R_xlen_t) { return nullptr; }
SEXP vector_in(const std::shared_ptr<Mapping>&, SEXPTYPE type, R_xlen_t, R_xlen_t n) { return Rf_allocVector(type, n); }

#endif

}  // namespace

SEXP large_vector(SEXPTYPE type, R_xlen_t n) {
  const std::shared_ptr<Mapping> mapping = map_for(type, n);
  return mapping ? vector_in(mapping, type, 0, n) : Rf_allocVector(type, n);
}

Rcpp::List large_columns(R_xlen_t n_columns, R_xlen_t n, std::vector<double*>& columns) {
  Rcpp::List out(n_columns);
  const bool are_long = static_cast<std::size_t>(n) * sizeof(double) >= smallest_column;
  const std::shared_ptr<Mapping> mapping = are_long ? map_for(REALSXP, n_columns * n) : nullptr;
  columns.clear();
  for (R_xlen_t k = 0; k < n_columns; ++k) {
    SEXP column = mapping ? vector_in(mapping, REALSXP, k * n, n) : Rf_allocVector(REALSXP, n);
    SET_VECTOR_ELT(out, k, column);
    columns.push_back(REAL(column));
  }
  return out;
}

double mapped_bytes() { return static_cast<double>(bytes_in_use); }

}  // namespace rscvi::glue

// [[Rcpp::init]]
void register_large_results(DllInfo* dll) { rscvi::glue::register_classes(dll); }

// [[Rcpp::export(rng = false)]]
double mapped_bytes_cpp() { return rscvi::glue::mapped_bytes(); }
