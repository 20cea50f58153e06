# Highly variable genes.

#' Keep highly variable genes
#'
#' `subsample_genes()` keeps the genes that vary most; `highly_variable_genes()` returns the statistics behind it.
#'
#' # Modes
#' `"seurat_v3"` (Stuart et al. 2019, *Cell* 177:1888): in each batch, a local quadratic regression ([stats::loess()],
#' span 0.3) of log10 variance on log10 mean gives the standard deviation that is expected of a gene with this mean.
#' Counts are clipped at \eqn{\mathrm{mean} + \mathrm{sd} \sqrt{n}}, standardised with it, and the variance of the
#' result ranks the genes. Genes are chosen by the number of batches in which they are among the top, then by their
#' median rank. The kept genes stay in the order of the data set.
#'
#' `"variance"`: the variance of the raw counts over all cells. The kept genes are in order of decreasing variance.
#'
#' Afterwards cells without counts are dropped with a message. The counts are read in blocks of cells and never made
#' dense.
#'
#' @param x a [GeneExpressionDataset-class] object.
#' @param new_n_genes,new_ratio_genes number of genes to keep, or their proportion (in (0, 1], rounded down). Where that
#'   is all genes or more, `x` comes back as it is, with a message.
#' @param subset_genes genes to keep (as in [update_genes()]), in place of a number.
#' @param mode `"seurat_v3"` or `"variance"`.
#' @param batch_correction whether `"seurat_v3"` ranks genes within each batch, or all cells together.
#' @param n_top number of genes to flag.
#'
#' @return `subsample_genes()`: a [GeneExpressionDataset-class] object. `highly_variable_genes()`: a `data.frame` with
#'   one row a gene, in the order of the data set:
#'   \describe{
#'     \item{`highly_variable`}{`TRUE` for the chosen genes}
#'     \item{`highly_variable_nbatches`}{in how many batches the gene is among the top}
#'     \item{`highly_variable_intersection`}{whether it is so in all batches}
#'     \item{`highly_variable_median_rank`}{median over batches of the number of genes that vary less}
#'     \item{`highly_variable_median_variance`}{median over batches of the standardised variance}
#'   }
#' @section Errors: `rscvi_invalid_argument`: an unknown `mode`, no or several of the three ways to say how many genes.
#'   `rscvi_failed_fit`: too few genes vary for the trend of `"seurat_v3"`.
#'
#' @examples
#' sce <- example_pbmc()
#' dataset <- GeneExpressionDataset(sce, batch = "batch")
#' subsample_genes(dataset, 200)
#' head(highly_variable_genes(dataset, n_top = 200))
#' @export
subsample_genes <- function(x, new_n_genes = NULL, new_ratio_genes = NULL, subset_genes = NULL, mode = "seurat_v3",
                            batch_correction = TRUE) {
    check_class(x, "x", "GeneExpressionDataset")
    check_choice(mode, "mode", c("seurat_v3", "variance"))
    check_flag(batch_correction, "batch_correction")
    given <- !c(is.null(new_n_genes), is.null(new_ratio_genes), is.null(subset_genes))
    if (sum(given) != 1L) {
        abort_rscvi("Exactly one of {.arg new_n_genes}, {.arg new_ratio_genes} and {.arg subset_genes} must be given,
                     not {sum(given)}.")
    }
    if (!is.null(subset_genes)) return(update_genes(x, subset_genes))
    n <- wanted_genes(new_n_genes, new_ratio_genes, nb_genes(x))
    if (n >= nb_genes(x)) {
        inform_rscvi("All {nb_genes(x)} gene{?s} are kept: {n} {?was/were} asked for.")
        return(x)
    }
    genes <- if (mode == "variance") {
        order(gene_moments(x@counts, seq_len(nb_cells(x)))$var, decreasing = TRUE)[seq_len(n)]
    } else {
        which(highly_variable_genes(x, n, batch_correction)$highly_variable)
    }
    update_genes(x, genes)
}

wanted_genes <- function(new_n_genes, new_ratio_genes, n_genes) {
    if (!is.null(new_n_genes)) return(check_count(new_n_genes, "new_n_genes"))
    ratio <- check_number(new_ratio_genes, "new_ratio_genes", lower = 0, lower_open = TRUE, upper = 1)
    n <- floor(ratio * n_genes)
    if (n < 1) abort_rscvi("{.arg new_ratio_genes} = {ratio} keeps no gene of {n_genes}.")
    n
}

#' @rdname subsample_genes
#' @export
highly_variable_genes <- function(x, n_top = 4000, batch_correction = TRUE) {
    check_class(x, "x", "GeneExpressionDataset")
    check_count(n_top, "n_top")
    check_flag(batch_correction, "batch_correction")
    cells <- if (batch_correction) split(seq_len(nb_cells(x)), x@batch) else list(seq_len(nb_cells(x)))
    variances <- vapply(cells, function(i) standardised_variance(x@counts, i), numeric(nb_genes(x)))
    # vapply() drops to a vector when there is one gene.
    variances <- matrix(variances, nrow = nb_genes(x))
    ranks <- apply(variances, 2L, rank, ties.method = "first") - 1
    ranks <- matrix(ranks, nrow = nb_genes(x))
    in_top <- rowSums(ranks >= nb_genes(x) - n_top)
    median_rank <- apply(ranks, 1L, stats::median)
    chosen <- utils::head(order(-in_top, -median_rank), n_top)
    data.frame(
        highly_variable = seq_len(nb_genes(x)) %in% chosen,
        highly_variable_nbatches = as.integer(in_top),
        highly_variable_intersection = in_top == length(cells),
        highly_variable_median_rank = median_rank,
        highly_variable_median_variance = apply(variances, 1L, stats::median),
        row.names = gene_names(x)
    )
}

# Variance over `cells` of each gene's clipped counts, in units of the variance expected of its mean.
standardised_variance <- function(counts, cells) {
    n <- length(cells)
    moments <- gene_moments(counts, cells)
    expected_sd <- sqrt(expected_variance(moments$mean, moments$var))
    ceiling <- moments$mean + expected_sd * sqrt(n)
    sums <- sum_over_blocks(counts, cells, function(block, ...) {
        block@x <- pmin(block@x, ceiling[block@i + 1L])
        sum <- Matrix::rowSums(block)
        block@x <- block@x^2
        cbind(sum, Matrix::rowSums(block))
    })
    # Sum of (clipped - mean)^2, with the mean of the counts before clipping.
    (n * moments$mean^2 + sums[, 2L] - 2 * sums[, 1L] * moments$mean) / ((n - 1) * expected_sd^2)
}

# The trend of log10 variance over log10 mean; 1 for genes that do not vary, whose variance it then leaves at 0.
expected_variance <- function(mean, var) {
    varies <- var > 0
    trend <- rep(1, length(mean))
    if (!any(varies)) return(trend)
    x <- log10(mean[varies])
    y <- log10(var[varies])
    # loess() warns of near singularities where many genes have the very same mean, as genes do that are seen in one or
    # two cells: it then fits them by their common value, which is what is wanted.
    trend[varies] <- tryCatch(
        10^stats::fitted(suppressWarnings(stats::loess(y ~ x, span = 0.3, degree = 2))),
        error = function(e) NA_real_
    )
    if (!all(is.finite(trend))) {
        abort_rscvi(c(
            "The trend of variance over mean cannot be fitted to {sum(varies)} varying gene{?s}.",
            i = "Use {.code mode = \"variance\"}."
        ), class = "failed_fit")
    }
    trend
}
