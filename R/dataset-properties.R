# Raw statistics of genes in two groups of cells, as tables of differential expression report them.

#' Raw means and proportions of two groups of cells
#'
#' Statistics of the counts themselves, beside which the results of a model can be laid. A *normalised* count is the
#' count divided by the mean of the cell's counts over all genes, \eqn{x_{ig} G / \sum_h x_{ih}}; that of a cell without
#' counts is 0.
#'
#' @param x a [GeneExpressionDataset-class] object.
#' @param idx1,idx2 the two groups of cells: names, 1-based indices or logical masks. A cell that is named twice counts
#'   twice.
#' @return A `data.frame` with one row a gene: `mean1`, `mean2` (mean count), `nonz1`, `nonz2` (proportion of cells with
#'   a count above 0), `norm_mean1`, `norm_mean2` (mean normalised count).
#' @section Errors: `rscvi_invalid_argument` for indices that do not exist and for a group without cells.
#'
#' @examples
#' sce <- example_pbmc()
#' dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
#' head(raw_counts_properties(dataset, labels(dataset) == "B cells", labels(dataset) != "B cells"))
#' @export
raw_counts_properties <- function(x, idx1, idx2) {
    check_class(x, "x", "GeneExpressionDataset")
    weights <- cbind(cell_weights(x, idx1, "idx1"), cell_weights(x, idx2, "idx2"))
    cells <- which(rowSums(weights) > 0)
    sums <- sum_over_blocks(x@counts, cells, function(block, at) {
        totals <- Matrix::colSums(block)
        factor <- ifelse(totals > 0, nrow(block) / totals, 0)
        present <- block
        present@x <- as.numeric(block@x > 0)
        w <- weights[at, , drop = FALSE]
        cbind(as.matrix(block %*% w), as.matrix(present %*% w), as.matrix(block %*% (w * factor)))
    })
    colnames(sums) <- c("mean1", "mean2", "nonz1", "nonz2", "norm_mean1", "norm_mean2")
    data.frame(sums, row.names = gene_names(x))
}

# One weight a cell: 1 / size of the group, as often as the cell is in it.
cell_weights <- function(x, idx, arg) {
    cells <- check_indices(idx, arg, nb_cells(x), cell_names(x))
    if (length(cells) == 0L) abort_rscvi("{.arg {arg}} selects no cell of {nb_cells(x)}.")
    tabulate(cells, nbins = nb_cells(x)) / length(cells)
}
