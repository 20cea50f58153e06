# All S4 classes. What an object *is* is plain R data, so that it survives saveRDS(), forking and SnowParam workers;
# external pointers to the core are caches, kept in environments and rebuilt on first use (see handles.R).

setClassUnion("numericOrNULL", c("numeric", "NULL"))
setClassUnion("matrixOrNULL", c("matrix", "NULL"))
setClassUnion("logicalOrNULL", c("logical", "NULL"))

#' The data set of a model: counts, batches, labels and the library-size prior
#'
#' Made by [GeneExpressionDataset()]; read with the accessors on that page.
#'
#' @slot counts `dgCMatrix` of raw counts, genes x cells, with dimnames. Column-compressed, so it is at the same time
#'   the cell-major matrix that the core reads in place.
#' @slot corrupted `NULL`, or the `x` slot of the corrupted counts (same sparsity pattern as `counts`); see [corrupt()].
#' @slot batch,labels factors, one element a cell, without unused levels.
#' @slot local_means,local_vars mean and variance of the log library size of the cell's batch, one element a cell,
#'   rounded to single precision.
#' @slot proteins `NULL`, or a cells x proteins matrix.
#' @slot cell_data a `DataFrame` with what else is known of each cell.
#' @slot version version of the package that made the object.
#' @slot cache environment that holds the core's handle.
#' @aliases GeneExpressionDataset-class
#' @exportClass GeneExpressionDataset
setClass("GeneExpressionDataset",
    slots = c(
        counts = "dgCMatrix", corrupted = "numericOrNULL",
        batch = "factor", labels = "factor",
        local_means = "numeric", local_vars = "numeric",
        proteins = "matrixOrNULL", cell_data = "DFrame",
        version = "character", cache = "environment"
    )
)
