# Peak memory of training on 100,000 cells x 2,000 genes: the counts and 500 MB, as bench/memory.R measures it.

test_that("training on 100,000 cells needs the counts and 500 MB, R and LibTorch included", {
    skip_if_not(file.exists("/proc/self/status"), "peak memory is read from Linux's /proc")
    script <- test_path("..", "..", "bench", "memory.R")
    output <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), shQuote(script), stdout = TRUE, stderr = TRUE))
    status <- attr(output, "status")
    expect(is.null(status), paste(c("bench/memory.R says:", output), collapse = "\n"))
})
