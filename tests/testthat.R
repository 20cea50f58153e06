# Runs the tests as R CMD check does.
library(testthat)
library(rscvi)

test_check("rscvi")
