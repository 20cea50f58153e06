# A smaller or reordered data set: genes and cells. Data sets are values: every function returns a new one.

#' Keep, drop and reorder genes and cells
#'
#' Each function returns a new data set and leaves `x` as it is. The library-size prior is computed anew from the counts
#' that stay; batches and labels without cells are dropped with a message. Corrupted counts stay corrupted.
#'
#' * `update_genes()`, `update_cells()`: keep a choice, in the order given.
#' * `filter_genes_by_count()`: keeps the genes with at least `min_count` counts in all cells together, with `per_batch`
#'   in every batch. `filter_cells_by_count()`: the cells with at least `min_count` counts.
#' * `reorder_genes()`: `first_genes` first, then the others in their order (or not at all).
#' * `subsample_cells()`: the cells with the most counts, in decreasing order.
#' * `genes_to_index()`: the indices of genes.
#'
#' @param x a [GeneExpressionDataset-class] object.
#' @param subset,genes,first_genes which genes or cells: names, 1-based indices, or a logical mask. Cells may repeat
#'   (their names are then made unique), genes may not.
#' @param empty_cells what to do with cells that have no counts (left): see [GeneExpressionDataset()].
#' @param min_count a number.
#' @param per_batch `TRUE` or `FALSE`.
#' @param drop_omitted_genes whether the other genes are left out.
#' @param size number of cells (a whole number above 1, or an integer such as `1L`), or their proportion (in (0, 1]),
#'   rounded down.
#'
#' @return `genes_to_index()`: integer indices. The others: a [GeneExpressionDataset-class] object.
#' @section Errors:
#' `rscvi_invalid_argument` for indices and names that do not exist and where nothing would be left;
#' `rscvi_degenerate_batch` if a batch is left with one cell.
#' @seealso [subsample_genes()] for highly variable genes, [filter_cell_types()] for cell types.
#'
#' @examples
#' counts <- matrix(rpois(50 * 20, lambda = 2), nrow = 50)
#' dataset <- GeneExpressionDataset(counts, batch = rep(c("a", "b"), 10))
#' update_genes(dataset, c("gene3", "gene1"))
#' update_cells(dataset, batch_indices(dataset) == "a")
#' filter_genes_by_count(dataset, min_count = 30)
#' subsample_cells(dataset, 0.5)
#' @name dataset-filters
NULL

#' @rdname dataset-filters
#' @export
update_genes <- function(x, subset, empty_cells = c("drop", "keep", "error")) {
    check_class(x, "x", "GeneExpressionDataset")
    empty_cells <- check_choice(empty_cells[1L], "empty_cells", c("drop", "keep", "error"))
    genes <- check_indices(subset, "subset", nb_genes(x), gene_names(x), allow_duplicates = FALSE)
    if (length(genes) == 0L) abort_rscvi("{.arg subset} keeps no gene of {nb_genes(x)}.")
    subset_dataset(x, genes = genes, empty_cells = empty_cells)
}

#' @rdname dataset-filters
#' @export
update_cells <- function(x, subset) {
    check_class(x, "x", "GeneExpressionDataset")
    cells <- check_indices(subset, "subset", nb_cells(x), cell_names(x))
    if (length(cells) == 0L) abort_rscvi("{.arg subset} keeps no cell of {nb_cells(x)}.")
    subset_dataset(x, cells = cells)
}

#' @rdname dataset-filters
#' @export
filter_genes_by_count <- function(x, min_count = 1, per_batch = FALSE, empty_cells = c("drop", "keep", "error")) {
    check_class(x, "x", "GeneExpressionDataset")
    check_number(min_count, "min_count", lower = 0)
    check_flag(per_batch, "per_batch")
    keep <- if (per_batch) {
        batches <- Matrix::sparseMatrix(i = seq_len(nb_cells(x)), j = as.integer(x@batch), x = 1)
        rowSums(as.matrix(x@counts %*% batches) < min_count) == 0
    } else {
        Matrix::rowSums(x@counts) >= min_count
    }
    if (!any(keep)) abort_rscvi("No gene of {nb_genes(x)} has {.arg min_count} = {min_count} counts.")
    if (all(keep)) return(x)
    update_genes(x, which(keep), empty_cells = empty_cells)
}

#' @rdname dataset-filters
#' @export
filter_cells_by_count <- function(x, min_count = 1) {
    check_class(x, "x", "GeneExpressionDataset")
    check_number(min_count, "min_count", lower = 0)
    keep <- cell_totals(x) >= min_count
    if (!any(keep)) abort_rscvi("No cell of {nb_cells(x)} has {.arg min_count} = {min_count} counts.")
    if (all(keep)) return(x)
    subset_dataset(x, cells = which(keep))
}

#' @rdname dataset-filters
#' @export
reorder_genes <- function(x, first_genes, drop_omitted_genes = FALSE) {
    check_class(x, "x", "GeneExpressionDataset")
    check_flag(drop_omitted_genes, "drop_omitted_genes")
    first <- check_indices(first_genes, "first_genes", nb_genes(x), gene_names(x), allow_duplicates = FALSE)
    if (drop_omitted_genes) return(update_genes(x, first))
    subset_dataset(x, genes = c(first, setdiff(seq_len(nb_genes(x)), first)))
}

#' @rdname dataset-filters
#' @export
subsample_cells <- function(x, size = 1) {
    check_class(x, "x", "GeneExpressionDataset")
    n <- nb_cells(x)
    check_number(size, "size", lower = 0, lower_open = TRUE, upper = max(n, 1))
    if (size > 1 || is.integer(size)) size <- check_count(size, "size", lower = 1L, upper = n)
    kept <- if (is.integer(size)) size else floor(size * n)
    if (kept < 1) abort_rscvi("{.arg size} = {size} keeps no cell of {n}.")
    update_cells(x, order(cell_totals(x), decreasing = TRUE)[seq_len(kept)])
}

#' @rdname dataset-filters
#' @export
genes_to_index <- function(x, genes) {
    check_class(x, "x", "GeneExpressionDataset")
    check_indices(genes, "genes", nb_genes(x), gene_names(x))
}

# All subsetting ends here. `empty_cells` = NULL leaves cells alone that have no counts: what does not take genes away
# makes none.
subset_dataset <- function(x, genes = NULL, cells = NULL, labels = NULL, empty_cells = NULL) {
    pick <- function(matrix) {
        if (is.null(genes)) matrix[, cells, drop = FALSE]
        else if (is.null(cells)) matrix[genes, , drop = FALSE]
        else matrix[genes, cells, drop = FALSE]
    }
    totals_of <- function(counts) unname(Matrix::colSums(counts))
    counts <- pick(x@counts)
    totals <- totals_of(counts)
    if (!is.null(empty_cells)) {
        keep <- check_empty_cells(totals, cell_names(x), empty_cells)
        if (!is.null(keep)) {
            cells <- keep
            counts <- counts[, keep, drop = FALSE]
            totals <- totals[keep]
        }
    }
    corrupted <- if (!is.null(x@corrupted)) {
        # The same pattern goes through the same subsetting, so its values stay aligned with those of the counts.
        values <- x@counts
        values@x <- x@corrupted
        pick(values)@x
    }
    if (is.null(cells)) cells <- seq_len(nb_cells(x))
    if (anyDuplicated(cells)) {
        counts@Dimnames[[2L]] <- resolve_names(counts@Dimnames[[2L]], "subset", length(cells), "cell")
    }
    cell_data <- x@cell_data[cells, , drop = FALSE]
    rownames(cell_data) <- counts@Dimnames[[2L]]
    new_dataset(counts, x@batch[cells], if (is.null(labels)) x@labels[cells] else labels,
        x@proteins[cells, , drop = FALSE], cell_data, x@covariates[cells, , drop = FALSE], totals, corrupted)
}
