# The comparison that the other tests rest on, tested itself.

test_that("expect_close compares every value by its own size", {
    x <- c(1000, 1, 0.1)
    expect_success(expect_close(x * (1 + 9e-5), x))
    expect_failure(expect_close(x * (1 + 2e-4), x), "3 of 3 values are off by more than 0.0001")
    expect_failure(expect_close(x + c(0, 0, 2e-5), x), "The worst is \\[3\\]")
    expect_success(expect_close(x * 1.05, x, tolerance = 0.1))
    expect_failure(expect_close(5.001, 5), "5.001, not 5 \\(relative error 0.0002\\)")
})

test_that("expect_close compares a value under 1 % of the median with that 1 %", {
    x <- c(1, 2, 3, 1e-5)
    expect_success(expect_close(x + c(0, 0, 0, 1e-6), x))
    expect_failure(expect_close(x + c(0, 0, 0, 3e-6), x))
    expect_failure(expect_close(x + c(0, 0, 0, 1e-6), x, floor = 0))
    # One large value does not make the rest count less, nor do many zeros.
    expect_failure(expect_close(c(1e6, 1, 1, 1.001), c(1e6, 1, 1, 1)))
    expect_failure(expect_close(c(0, 0, 0, 1.001), c(0, 0, 0, 1)))
    expect_failure(expect_close(c(0, 1e-30), c(0, 0)))
    expect_success(expect_close(c(0, 0), c(0, 0)))
})

test_that("expect_close compares dimensions and values that are not finite", {
    x <- matrix(1:6, 2L)
    expect_success(expect_close(x, x))
    expect_failure(expect_close(t(x), x), "it is 3 x 2, not 2 x 3")
    expect_failure(expect_close(as.vector(x), x), "it is 6, not 2 x 3")
    expect_failure(expect_close(1:2, 1:3), "it is 2, not 3")
    expect_success(expect_close(array(1:3), 1:3))
    expect_failure(expect_close(x + c(0, 0, 0, 1, 0, 0), x), "The worst is \\[2, 2\\]")

    odd <- c(NaN, NA, Inf, -Inf, 1)
    expect_success(expect_close(odd, odd))
    expect_failure(expect_close(c(NaN, 1), c(1, 1)), "NaN, not 1")
    expect_failure(expect_close(c(1, 1), c(NaN, 1)), "1, not NaN")
    expect_failure(expect_close(Inf, -Inf))
    expect_failure(expect_close(Inf, 1))
    expect_failure(expect_close(NULL, 1), "not numbers")
    expect_failure(expect_close(1, NULL), "no expected numbers")
})

test_that("reference() keeps torch's index order and exact single-precision values", {
    p1 <- reference("p1")
    expect_identical(p1, reference("p1_vae_zinb_gene"))
    expect_identical(dim(p1$state_dict[["z_encoder.mean_encoder.weight"]]), c(10L, 32L))
    expect_identical(dim(p1$noise$mll_z), c(5L, 24L, 10L))
    # The second number of the tensor is that of row 1, column 2.
    expect_equal(p1$expected$qz_m[1, 1:3], c(0.147126108, 0.716728926, 0.14210932), tolerance = 1e-8)
    expect_equal(p1$noise$ns3_z[1, 1, 1:3], c(-0.515101135, 1.37550354, 1.44963336), tolerance = 1e-8)
    in_single <- readBin(writeBin(p1$state_dict$px_r, raw(), size = 4L), "numeric", n = 30L, size = 4L)
    expect_identical(p1$state_dict$px_r, in_single)

    expect_identical(dim(p1$counts), c(p1$config$n_genes, p1$config$n_cells))
    expect_identical(p1$counts["g005", "c0000"], 1 * p1$corrupted$original[1])
    expect_identical(reference("_common")$dataset$X_cells_by_genes[1, 1:8], c(3, 0, 3, 0, 4, 4, 0, 240))
    expect_error(reference("no_such"), "0 reference files")
})
