// Glue: threads.
#include <Rcpp.h>

#include "core/api/threads.h"

// [[Rcpp::export(rng = false)]]
int granted_threads_cpp() { return rscvi::api::granted_threads(); }

// The numbers that were in force before, for set_threads_cpp().
// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector compute_with_threads_cpp(int n) {
  const rscvi::Threads before = rscvi::api::compute_with_threads(n);
  return Rcpp::IntegerVector::create(before.torch, before.blas);
}

// [[Rcpp::export(rng = false)]]
void set_threads_cpp(Rcpp::IntegerVector threads) { rscvi::api::set_threads({threads[0], threads[1]}); }
