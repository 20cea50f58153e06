# What can be read from a GeneExpressionDataset.

#' Read from a data set
#'
#' @param x,object a [GeneExpressionDataset-class] object (`nb_cells()` also takes a posterior).
#' @param ... not used.
#'
#' @return
#' * `nb_cells(x)`, `nb_genes(x)`, `n_batches(x)`, `n_labels(x)`: one integer; `dim(x)`: genes, cells.
#' * `gene_names(x)`, `cell_names(x)`: character vectors; unique.
#' * `counts(x)`: the raw counts, a `dgCMatrix` of genes x cells.
#' * `batch_indices(x)`, `labels(x)`: factors with one element a cell. Their integer codes are what a model sees (from 1
#'   here); `cell_types(x)` are the levels of `labels(x)`.
#' * `local_means(x)`, `local_vars(x)`: mean and variance of the log library size in the cell's batch, one element a
#'   cell, rounded to single precision; `library_prior(x)`: the same as a `data.frame` with one row a batch and the
#'   columns `batch`, `n_cells`, `mean`, `var`. How they are defined: [GeneExpressionDataset()].
#' * `cell_data(x)`: a `DataFrame` with what else came with the cells, one row a cell.
#' * `proteins(x)`: `NULL`, or a matrix of cells x proteins.
#' * `covariates(x)`: a data.frame of the further covariates, one row a cell; without columns if there are none.
#'
#' @examples
#' counts <- matrix(rpois(50 * 20, lambda = 2), nrow = 50)
#' dataset <- GeneExpressionDataset(counts, batch = rep(1:2, 10), labels = rep(c("B", "T"), each = 10))
#' dim(dataset)
#' table(batch_indices(dataset), labels(dataset))
#' library_prior(dataset)
#' @name dataset-accessors
NULL

#' @rdname dataset-accessors
#' @export
setMethod("nb_cells", "GeneExpressionDataset", function(x) ncol(x@counts))

#' @rdname dataset-accessors
#' @export
setMethod("nb_genes", "GeneExpressionDataset", function(x) nrow(x@counts))

#' @rdname dataset-accessors
#' @export
setMethod("n_batches", "GeneExpressionDataset", function(x) nlevels(x@batch))

#' @rdname dataset-accessors
#' @export
setMethod("n_labels", "GeneExpressionDataset", function(x) nlevels(x@labels))

#' @rdname dataset-accessors
#' @export
setMethod("dim", "GeneExpressionDataset", function(x) x@counts@Dim)

#' @rdname dataset-accessors
#' @export
setMethod("gene_names", "GeneExpressionDataset", function(x) x@counts@Dimnames[[1L]])

#' @rdname dataset-accessors
#' @export
setMethod("cell_names", "GeneExpressionDataset", function(x) x@counts@Dimnames[[2L]])

#' @rdname dataset-accessors
#' @importFrom BiocGenerics counts
#' @export
setMethod("counts", "GeneExpressionDataset", function(object, ...) object@counts)

#' @rdname dataset-accessors
#' @export
setMethod("batch_indices", "GeneExpressionDataset", function(x) x@batch)

#' @rdname dataset-accessors
#' @export
setMethod("labels", "GeneExpressionDataset", function(object, ...) object@labels)

#' @rdname dataset-accessors
#' @export
setMethod("cell_types", "GeneExpressionDataset", function(x) levels(x@labels))

#' @rdname dataset-accessors
#' @export
setMethod("local_means", "GeneExpressionDataset", function(x) x@local_means)

#' @rdname dataset-accessors
#' @export
setMethod("local_vars", "GeneExpressionDataset", function(x) x@local_vars)

#' @rdname dataset-accessors
#' @export
setMethod("library_prior", "GeneExpressionDataset", function(x) {
    first <- match(levels(x@batch), x@batch)
    data.frame(
        batch = factor(levels(x@batch), levels = levels(x@batch)),
        n_cells = tabulate(x@batch, nbins = nlevels(x@batch)),
        mean = x@local_means[first], var = x@local_vars[first]
    )
})

#' @rdname dataset-accessors
#' @export
setMethod("cell_data", "GeneExpressionDataset", function(x) x@cell_data)

#' @rdname dataset-accessors
#' @export
setMethod("covariates", "GeneExpressionDataset", function(x) as.data.frame(x@covariates, optional = TRUE))

#' @rdname dataset-accessors
#' @export
setMethod("proteins", "GeneExpressionDataset", function(x) x@proteins)

#' @rdname dataset-accessors
#' @export
setMethod("show", "GeneExpressionDataset", function(object) {
    zeros <- 1 - Matrix::nnzero(object@counts) / prod(as.numeric(dim(object)))
    totals <- stats::quantile(cell_totals(object), c(0, 0.5, 1), names = FALSE)
    cat(
        sprintf("GeneExpressionDataset: %d genes x %d cells, %.1f %% zeros\n",
            nb_genes(object), nb_cells(object), 100 * zeros),
        sprintf("counts per cell: median %s (%s to %s)\n", format(totals[2L], big.mark = ","),
            format(totals[1L], big.mark = ","), format(totals[3L], big.mark = ",")),
        format_levels("batches", object@batch), format_levels("labels", object@labels),
        if (ncol(object@covariates)) {
            sprintf("covariates: %s\n", covariate_summary(describe_covariates(object@covariates)))
        },
        if (!is.null(object@proteins)) sprintf("proteins: %d\n", ncol(object@proteins)),
        if (!is.null(object@corrupted)) {
            sprintf("corrupted: %d of %d non-zero counts changed\n",
                sum(object@corrupted != object@counts@x), Matrix::nnzero(object@counts))
        },
        sep = ""
    )
    invisible(object)
})

cell_totals <- function(x) unname(Matrix::colSums(x@counts))

# "batches (2): ctrl 750, stim 806", cut after the first few levels.
format_levels <- function(what, x, at_most = 6L) {
    sizes <- table(x)
    shown <- utils::head(paste(names(sizes), sizes), at_most)
    more <- if (length(sizes) > at_most) sprintf(", ... (%d more)", length(sizes) - at_most) else ""
    sprintf("%s (%d): %s%s\n", what, length(sizes), paste(shown, collapse = ", "), more)
}
