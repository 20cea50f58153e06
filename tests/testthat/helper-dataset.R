# A small data set for tests.

# 40 genes x 24 cells, no empty cell; three batches, two labels.
toy <- withr::with_seed(1, {
    matrix(as.numeric(rpois(40 * 24, 1.5)), 40, dimnames = list(paste0("g", 1:40), paste0("c", 1:24)))
})
toy_batch <- rep(c("b1", "b2", "b3"), 8)
toy_labels <- rep(c("T", "B"), each = 12)
as_dgc <- function(x) methods::as(Matrix::Matrix(x, sparse = TRUE), "generalMatrix")
