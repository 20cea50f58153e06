# Numbers that scvi 0.6.8 computed, and how to compare with them.

reference_cache <- new.env(parent = emptyenv())

# One folder of reference numbers as a list, e.g. reference("p1_vae_zinb_gene")$expected$qz_m; "p1" is enough.
# What is in it: tests/reference/README.md.
reference <- function(name) {
    if (is.null(reference_cache[[name]])) {
        # Beside the tests, which R CMD check copies as a whole: no installed file and no path of the source tree.
        file <- Sys.glob(testthat::test_path("reference", paste0(c(name, paste0(name, "_*")), ".rds")))
        if (length(file) != 1L) stop("there are ", length(file), " reference files for '", name, "'")
        reference_cache[[name]] <- readRDS(file)
    }
    reference_cache[[name]]
}

# Expects `object` to have the dimensions of `expected` and every value to be close to it:
#
#     |object - expected| <= tolerance * max(|expected|, floor * typical),
#
# typical being the median of the non-zero |expected|. So a value counts by its own size unless that is under 1 % of
# the typical one. Such a value is what is left when larger ones cancel (a posterior mean that happens to lie near 0,
# as a sum of 32 products does), and its last digits are rounding of the larger ones: evaluated in float64, this very
# model differs from the float32 numbers of scvi 0.6.8 by up to 9.7e-5 where floor = 0, and by no more than 2.7e-5
# with floor = 0.01. The median, and not the largest value or the root mean square, because one outlier would move
# those and loosen the test of all other values; with it at least half of the values that are not 0 are compared by
# their own size, and a single number is, too. 0 must be exactly 0 where everything is 0. NA, NaN, Inf and -Inf must
# be the same in both. Names are not compared.
expect_close <- function(object, expected, tolerance = 1e-4, floor = 0.01) {
    actual <- testthat::quasi_label(rlang::enquo(object), arg = "object")
    wanted <- testthat::quasi_label(rlang::enquo(expected), arg = "expected")
    problem <- describe_difference(actual$val, wanted$val, tolerance, floor)
    testthat::expect(
        is.null(problem),
        sprintf("%s is not close to %s: %s", actual$lab, wanted$lab, problem)
    )
    invisible(actual$val)
}

# What is wrong, in words, or NULL.
describe_difference <- function(object, expected, tolerance, floor) {
    is_number <- function(x) is.numeric(x) && length(x) > 0L
    if (!is_number(expected)) return("there are no expected numbers")
    if (!is_number(object)) return(sprintf("it is a %s of length %d, not numbers", class(object)[1L], length(object)))
    # An array of one dimension is a vector.
    shape <- function(x) if (length(dim(x)) > 1L) dim(x) else length(x)
    if (!identical(as.integer(shape(object)), as.integer(shape(expected)))) {
        size <- function(x) paste(shape(x), collapse = " x ")
        return(sprintf("it is %s, not %s", size(object), size(expected)))
    }

    dims <- dim(expected)
    object <- as.vector(object)
    expected <- as.vector(expected)
    size <- abs(expected)
    finite <- is.finite(expected)
    typical <- if (any(size[finite] > 0)) stats::median(size[finite & size > 0]) else 0
    error <- abs(object - expected) / pmax(size, floor * typical)
    # Also settles 0 against 0, and what has no difference: NaN, Inf.
    same <- (object == expected & !is.na(object) & !is.na(expected)) |
        (is.nan(object) & is.nan(expected)) |
        (is.na(object) & !is.nan(object) & is.na(expected) & !is.nan(expected))
    error[same] <- 0
    error[!same & !(finite & is.finite(object))] <- Inf
    if (all(error <= tolerance)) return(NULL)

    worst <- which.max(error)
    at <- if (length(dims) > 1L) arrayInd(worst, dims) else worst
    sprintf(
        "%d of %d values are off by more than %.3g. The worst is [%s]: %.9g, not %.9g (relative error %.3g)",
        sum(error > tolerance), length(error), tolerance, paste(at, collapse = ", "),
        object[worst], expected[worst], error[worst]
    )
}
