# What library(rscvi) says of the linear algebra under it.

test_that("slow products have a reason, and each reason its remedy", {
    expect_null(blas_advice(100, ""))
    expect_match(blas_advice(41.3, "SkylakeX"), "run at 41 Gflop/s.*variable OPENBLAS_CORETYPE=SkylakeX; see \\?rscvi")
    expect_match(blas_advice(2.34, ""), "run at 2.3 Gflop/s.*libopenblas0-openmp")
    expect_match(blas_advice(2.34, "Haswell"), "OPENBLAS_CORETYPE=Haswell")
})

test_that("kernels are asked for where others are in use, and with them no longer", {
    # OpenBLAS's kernels do not matter where products are oneDNN's.
    wanted <- if (has_onednn_products_cpp()) "" else faster_openblas_kernels_cpp()
    attach <- "suppressMessages(library(SingleCellExperiment)); library(rscvi)"
    said <- function(kernels) {
        withr::local_envvar(OPENBLAS_CORETYPE = kernels)
        paste(system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(attach)), stdout = TRUE, stderr = TRUE),
            collapse = " ")
    }
    asked <- function(said) sub(".*OPENBLAS_CORETYPE=(\\w+).*|.*", "\\1", said)
    kernels <- Sys.getenv("OPENBLAS_CORETYPE", NA)
    expect_identical(asked(said(kernels)), wanted)
    expect_identical(asked(said(if (nzchar(wanted)) wanted else kernels)), "")
})
