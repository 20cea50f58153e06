# Runs one folder of testthat files against the installed package, for tools/test.sh.
#
#   Rscript tools/testthat.R FOLDER COUNTS
#
# Shows each failure, and writes "passed failed skipped" to the file COUNTS: expectations that held, expectations that
# did not (an error counts as one), and tests that were skipped.

args <- commandArgs(trailingOnly = TRUE)
stopifnot(length(args) == 2)
library(rscvi)

Sys.setenv(NOT_CRAN = "true")
results <- testthat::test_dir(args[1], package = "rscvi", load_package = "installed", stop_on_failure = FALSE,
                              reporter = testthat::SummaryReporter$new(max_reports = 50L))

kinds <- unlist(lapply(results, function(test) vapply(test$results, testthat:::expectation_type, "")))
count <- function(...) sum(kinds %in% c(...))
cat(count("success"), count("failure", "error"), count("skip"), "\n", file = args[2])

seconds <- vapply(results, function(test) unname(test$real), 0)
slowest <- head(order(seconds, decreasing = TRUE), 5)
cat("\nSlowest:\n")
for (i in slowest) cat(sprintf("  %6.1f s  %s: %s\n", seconds[i], results[[i]]$file, results[[i]]$test))
