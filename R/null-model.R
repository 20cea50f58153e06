# What a model must beat: counts of a gene as if all cells were of one kind.

#' A null model: one share and one dispersion per gene
#'
#' The least that can be known of counts, to hold a model's likelihood of held-out cells against ([diagnose()] does).
#' Counts of cell i and gene g are negative binomial with mean \eqn{\mu_{ig} = t_i s_g} and variance
#' \eqn{\mu_{ig} + \alpha_g \mu_{ig}^2}, where \eqn{t_i} is the cell's number of counts. Of the cells that it is fitted
#' to, \eqn{s_g} is the gene's share of all counts, and \eqn{\alpha_g} is found by moments,
#' \deqn{\alpha_g = \frac{\sum_i (x_{ig} - \mu_{ig})^2 - \mu_{ig}}{\sum_i \mu_{ig}^2}.}{alpha_g = sum_i ((x_ig -
#' mu_ig)^2 - mu_ig) / sum_i mu_ig^2.}
#' All cells are of one kind to it, and it knows of no batches. It is told the total of each cell, and needs no latent
#' variable: a model that does worse has learnt less than a table of means.
#'
#' @param gene_dataset a [GeneExpressionDataset()]; its real counts are read, not corrupted ones.
#' @param cells the cells to fit to (the training cells, as a rule), or to take the likelihood of: 1-based indices, a
#'   logical mask or names; `NULL`: all.
#' @param model what `null_model()` returned, for a data set with the same genes.
#' @return `null_model()`: a data.frame with one row a gene, gene names as row names: `share`, which sums to 1 (a gene
#'   without counts is given half a count), and `theta`, the inverse dispersion \eqn{1/\alpha_g}, at most 10,000.
#'   `null_log_likelihood()`: \eqn{-\ln p(x_i)} in nats, one number a cell, named by cell; smaller is better, as in
#'   [marginal_ll()].
#' @section Memory: the counts stay sparse; likelihoods take a bounded number of cells at a time.
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

# Above it a negative binomial is Poisson to all purposes.
largest_null_theta <- 1e4

# Squares of deviations are expanded, so that zeros need not be visited: sum (x - t s)^2 = sum x^2 - 2 s sum t x +
# s^2 sum t^2.
fit_null_model <- function(counts, cells) {
    counts <- counts[, cells, drop = FALSE]
    totals <- Matrix::colSums(counts)
    of_gene <- pmax(unname(Matrix::rowSums(counts)), 0.5)
    share <- of_gene / sum(of_gene)
    squares <- counts
    squares@x <- squares@x^2
    sum_mu2 <- share^2 * sum(totals^2)
    deviations <- unname(Matrix::rowSums(squares)) - 2 * share * as.vector(counts %*% totals) + sum_mu2
    alpha <- (deviations - share * sum(totals)) / sum_mu2
    data.frame(share = share, theta = 1 / pmax(alpha, 1 / largest_null_theta), row.names = rownames(counts))
}

# A dense block of so many numbers at a time.
null_block_size <- 2^20

null_losses <- function(model, counts, cells, block_size = null_block_size) {
    step <- max(1L, as.integer(block_size %/% nrow(counts)))
    blocks <- split(cells, (seq_along(cells) - 1L) %/% step)
    losses <- lapply(blocks, function(these) {
        x <- as.matrix(counts[, these, drop = FALSE])
        # A cell without counts has a mean of 0, of which 0 is certain.
        mu <- outer(model$share, unname(colSums(x)))
        -colSums(matrix(stats::dnbinom(x, size = model$theta, mu = mu, log = TRUE), nrow = nrow(x)))
    })
    stats::setNames(unlist(losses, use.names = FALSE), make.unique(colnames(counts)[cells]))
}
