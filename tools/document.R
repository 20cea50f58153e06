# Regenerates R/RcppExports.R, src/RcppExports.cpp, NAMESPACE and man/ from the sources. Run from the package's root
# with the package installed: Rscript tools/document.R
Rcpp::compileAttributes(".")
roxygen2::roxygenise(".", load_code = roxygen2::load_installed)
