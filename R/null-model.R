# What a model must beat: counts of a gene as if all cells were of one kind.

#' A null model: one share and one dispersion per gene
#'
#' The least that can be known of counts, to hold a model's likelihood of held-out cells against ([diagnose()] does).
#' Counts of cell i and gene g are negative binomial with mean \eqn{\mu_{ig} = t_i s_g} and variance
#' \eqn{\mu_{ig} + \mu_{ig}^2 / \theta_g}, where \eqn{t_i} is the cell's number of counts and \eqn{s_g} the gene's share
#' of all counts of the cells that the model is fitted to. All cells are of one kind to it, and it knows of no batches.
#' It is told the total of each cell, and needs no latent variable: a model that does worse has learnt less than a table
#' of means.
#'
#' # Dispersions
#' By moments, over the cells that the model is fitted to,
#' \deqn{\theta_g = \frac{\sum_i w_i \mu_{ig}^2}{\sum_i w_i ((x_{ig} - \mu_{ig})^2 - \mu_{ig})},}{theta_g = sum_i w_i
#' mu_ig^2 / sum_i w_i ((x_ig - mu_ig)^2 - mu_ig),}
#' with \eqn{w_i = 1}, and with \eqn{w_i = 1 / t_i}. Of the two each gene gets the one under which the counts that it
#' is fitted to are more likely (those of some cells, evenly spaced, if there are more than 2 million numbers). Equal
#' weights leave the dispersion to the largest cells. Where totals spread widely the other weights win: for held-out
#' cells of the CITE-seq data cbmc_cite (totals of 17,183 and less) \eqn{-\ln p(x_i)} is 685 nats with equal weights and
#' 658 with the others; on four other data sets the two differ by 14 nats at most, either way. \eqn{\ln \theta_g} is
#' kept within \eqn{[-7, 5]}; a gene that varies no more than a Poisson variable has 5.
#'
#' @param gene_dataset a [GeneExpressionDataset()]; its real counts are read, not corrupted ones.
#' @param cells the cells to fit to (the training cells, as a rule), or to take the likelihood of: 1-based indices, a
#'   logical mask or names; `NULL`: all.
#' @param model what `null_model()` returned, for a data set with the same genes.
#' @return `null_model()`: a data.frame with one row a gene, gene names as row names: `share`, which sums to 1 (a gene
#'   without counts is given half a count), and `theta`, the inverse dispersion.
#'   `null_log_likelihood()`: \eqn{-\ln p(x_i)} in nats, one number a cell, named by cell; smaller is better, as in
#'   [marginal_ll()].
#' @section Memory: the counts stay sparse, and are walked over a bounded number of cells at a time.
#' @section Errors: `rscvi_invalid_argument`, naming the argument; `rscvi_empty_population` without cells;
#'   `rscvi_model_mismatch` for other genes.
#' @seealso [marginal_ll()], [diagnose()]
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc())
#' held_out <- seq_len(nb_cells(dataset)) %% 10 == 0
#' null <- null_model(dataset, !held_out)
#' head(null)
#' mean(null_log_likelihood(null, dataset, held_out))
#' @export
null_model <- function(gene_dataset, cells = NULL) {
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    # Before the call: S4 dispatch of [ would hide the class of an error.
    cells <- check_null_cells(cells, gene_dataset)
    fit_null_model(gene_dataset@counts, cells)
}

#' @rdname null_model
#' @export
null_log_likelihood <- function(model, gene_dataset, cells = NULL) {
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    if (!is.data.frame(model) || !all(c("share", "theta") %in% names(model))) {
        abort_rscvi("{.arg model} must be what {.fn null_model} returned, not {describe_value(model)}.")
    }
    if (!identical(rownames(model), gene_names(gene_dataset))) {
        abort_rscvi("{.arg model} and {.arg gene_dataset} have different genes, or the same in another order.",
            class = "model_mismatch")
    }
    cells <- check_null_cells(cells, gene_dataset)
    null_losses(model, gene_dataset@counts, cells)
}

check_null_cells <- function(cells, dataset) {
    if (is.null(cells)) return(seq_len(nb_cells(dataset)))
    cells <- check_indices(cells, "cells", nb_cells(dataset), cell_names(dataset))
    if (length(cells) == 0L) abort_rscvi("{.arg cells} selects no cell.", class = "empty_population")
    cells
}

# Beyond the upper one a negative binomial is Poisson to all purposes.
null_log_theta <- c(-7, 5)

# So many numbers decide between dispersions.
null_numbers_compared <- 2e6

fit_null_model <- function(counts, cells, n_compared = null_numbers_compared) {
    totals <- unname(Matrix::colSums(counts))
    # Of each gene: sums of x, t x, x^2 and x^2 / t. A cell without counts adds nothing to any of them.
    sums <- sum_over_blocks(counts, cells, function(block, these) {
        square <- block
        square@x <- square@x^2
        cbind(Matrix::rowSums(block), as.vector(block %*% totals[these]), Matrix::rowSums(square),
            as.vector(square %*% (1 / pmax(totals[these], 1))))
    })
    totals <- totals[cells]
    of_gene <- pmax(sums[, 1L], 0.5)
    share <- unname(of_gene / sum(of_gene))
    equal <- moment_theta(sums[, 3L], sums[, 2L], share, sum(totals), sum(totals^2))
    inverse <- moment_theta(sums[, 4L], sums[, 1L], share, sum(totals > 0), sum(totals))
    null <- data.frame(share = share, theta = equal, row.names = rownames(counts))
    n <- min(length(cells), max(1, n_compared %/% nrow(counts)))
    looked_at <- cells[round(seq(1, length(cells), length.out = n))]
    fit_of <- function(theta) {
        Reduce(`+`, over_dense_blocks(replace(null, "theta", list(theta)), counts, looked_at, rowSums))
    }
    null$theta <- ifelse(fit_of(equal) >= fit_of(inverse), equal, inverse)
    null
}

# With sum w (x - t s)^2 = sum w x^2 - 2 s sum w t x + s^2 sum w t^2, so that zeros need not be visited: `square` and
# `product` are the first two sums, `weighted` and `weighted2` those of w t and w t^2.
moment_theta <- function(square, product, share, weighted, weighted2) {
    alpha <- (square - 2 * share * product + share^2 * weighted2 - share * weighted) / (share^2 * weighted2)
    # Without any count nothing varies.
    alpha[!is.finite(alpha)] <- 0
    unname(exp(pmin(pmax(-log(pmax(alpha, 0)), null_log_theta[1L]), null_log_theta[2L])))
}

# A dense block of so many numbers at a time.
null_block_size <- 2^20

null_losses <- function(model, counts, cells, block_size = null_block_size) {
    losses <- over_dense_blocks(model, counts, cells, function(log_p) -colSums(log_p), block_size)
    stats::setNames(unlist(losses, use.names = FALSE), make.unique(colnames(counts)[cells]))
}

# f(ln p of genes x cells) of blocks of cells.
over_dense_blocks <- function(model, counts, cells, f, block_size = null_block_size) {
    step <- max(1L, as.integer(block_size %/% nrow(counts)))
    lapply(split(cells, (seq_along(cells) - 1L) %/% step), function(these) {
        x <- unname(as.matrix(counts[, these, drop = FALSE]))
        # A cell without counts has a mean of 0, of which 0 is certain.
        mu <- outer(model$share, colSums(x))
        f(matrix(stats::dnbinom(x, size = model$theta, mu = mu, log = TRUE), nrow = nrow(x)))
    })
}
