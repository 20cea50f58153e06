# Corrupted counts, for imputation benchmarks and denoising; and raw statistics of two groups of cells.

#' Corrupt the counts of a data set
#'
#' `corrupt()` draws corrupted counts beside the true ones; posteriors and trainers use them when asked to.
#' `corrupted_counts()` reads them, `uncorrupt()` forgets them. Corrupting anew starts from the true counts.
#'
#' * `"uniform"`: `floor(rate * n)` of the n **non-zero** counts, drawn without replacement, are each multiplied by a
#'   Bernoulli(0.9) draw: about a tenth of the chosen ones becomes 0.
#' * `"binomial"`: `floor(rate * n)` of **all** n entries, zeros included, drawn without replacement, are each replaced
#'   by a Binomial(count, 0.2) draw.
#'
#' These are the two of scvi 0.6.8; an unknown name leaves the data set as it was.
#'
#' @param x a [GeneExpressionDataset-class] object.
#' @param rate proportion of the entries that are drawn, in \[0, 1\].
#' @param corruption `"uniform"` or `"binomial"`.
#' @param seed `NULL`: decided by [set.seed()]; or a whole number.
#' @return `corrupt()` and `uncorrupt()`: a [GeneExpressionDataset-class] object. `corrupted_counts()`: a `dgCMatrix`
#'   of genes x cells that stores the same entries as `counts(x)`, also where they became 0.
#' @section Errors: `rscvi_invalid_argument`: an unknown `corruption`, a `rate` outside \[0, 1\], asking for the
#'   corrupted counts of a data set that has none.
#'
#' @examples
#' counts <- matrix(rpois(50 * 20, lambda = 2), nrow = 50)
#' dataset <- corrupt(GeneExpressionDataset(counts), rate = 0.2, corruption = "binomial", seed = 1)
#' dataset
#' sum(corrupted_counts(dataset) != counts(dataset)) / length(counts(dataset))
#' uncorrupt(dataset)
#' @export
corrupt <- function(x, rate = 0.1, corruption = "uniform", seed = NULL) {
    check_class(x, "x", "GeneExpressionDataset")
    rate <- check_number(rate, "rate", lower = 0, upper = 1)
    check_choice(corruption, "corruption", c("uniform", "binomial"))
    set_corrupted(x, core(corrupt_counts_cpp(x@counts, rate, corruption, resolve_seed(seed))))
}

#' @rdname corrupt
#' @export
uncorrupt <- function(x) {
    check_class(x, "x", "GeneExpressionDataset")
    set_corrupted(x, NULL)
}

#' @rdname corrupt
#' @export
corrupted_counts <- function(x) {
    check_class(x, "x", "GeneExpressionDataset")
    if (is.null(x@corrupted)) {
        abort_rscvi(c("{.arg x} has no corrupted counts.", i = "Make them with {.fn corrupt}."))
    }
    corrupted <- x@counts
    corrupted@x <- x@corrupted
    corrupted
}

# The core's view holds the corrupted counts too: it is built anew.
set_corrupted <- function(x, values) {
    x@corrupted <- values
    x@cache <- new.env(parent = emptyenv())
    x
}
