// R vectors for results of megabytes, whose numbers lie in memory that the package maps itself.
//
// Before R hands out hundreds of megabytes it collects garbage, mostly in vain and more than once: .14 s each time with
// Bioconductor loaded, longer than a model takes for the numbers. Its memory also comes in pages of 4 kB, 80,000 first
// touches for 320 MB. These vectors are ALTREP ones (R_ext/Altrep.h): R reads, writes, copies and saves them as any
// other, and they go back to the system when R's collector finds that nobody has them any more; a data.frame's columns
// one by one. R does not count their bytes, so this does: where too many are waiting, R is asked to collect. The pages
// of the largest one that went, up to 512 MB, wait for the next, and are the system's should it want them: fresh ones
// cost more to touch than what is written there.
//
// Small results and short columns get R's own vectors, as does every result on systems other than Linux. The package's
// library stays loaded when its namespace is not: R could not read these vectors without it.
#pragma once

#include <Rcpp.h>

#include <vector>

namespace rscvi::glue {

// A vector of n numbers (REALSXP) or whole numbers (INTSXP), not set to anything.
SEXP large_vector(SEXPTYPE type, R_xlen_t n);

// A list of n_columns vectors of n numbers each; columns: where they begin.
Rcpp::List large_columns(R_xlen_t n_columns, R_xlen_t n, std::vector<double*>& columns);

// Bytes of them that R has not given back yet.
double mapped_bytes();
// Bytes that no result is in, kept for the next ones.
double spare_bytes();

}  // namespace rscvi::glue
