# The constructor: what the user has -> checked counts, batches, labels and their library prior.

#' Make the data set of a model
#'
#' Takes raw counts from the container that they are in, checks them, and computes the prior of the library size per
#' batch. All models, trainers and posteriors work on the result.
#'
#' # Which counts
#' Counts are **genes x cells** in every container, as is the habit in R; they must be raw (whole, finite, not
#' negative). A `dgCMatrix` is used in place, without a copy: its compressed columns are the cells that a minibatch is
#' gathered from. Everything else goes through one conversion to `dgCMatrix`: other classes of the Matrix package,
#' dense matrices, and whatever has a coercion to `dgCMatrix` (`DelayedMatrix`, and so HDF5-backed data, which are
#' loaded into memory as a sparse matrix). The check of the values reads the counts once and needs no memory.
#'
#' # Library-size prior
#' The log library size of a cell has a normal prior whose mean and variance are those of its batch:
#' with \eqn{s_i = \ln \sum_g x_{ig}}, the mean and the population variance (divisor n) of \eqn{s_i} over the cells of
#' the batch, in double precision, then rounded to the single precision that the networks work in (Lopez et al. 2018,
#' *Nature Methods* 15:1053, equation 1). The whole data set counts, not the training cells alone.
#'
#' @param x a `SingleCellExperiment` or `SummarizedExperiment`, a `dgCMatrix` or another matrix-like object of raw
#'   counts (genes x cells), or a `Seurat` object (SeuratObject 4 or 5; the layers of a split assay are joined).
#' @param batch,labels batch and cell type of each cell (`NA`: a label that is not known): the name of a column of
#'   `colData(x)` (of the meta data of a Seurat object), or a vector or factor with one element a cell, in the order of
#'   the cells; names, where it has any, must be the cells' and decide the order. The levels of a factor keep their
#'   order, other values are sorted; unused levels are dropped with a message. `NULL`: one batch `"1"`, one label
#'   `"undefined"`.
#' @param proteins `NULL`; or a matrix of protein expression, **cells x proteins**; or the name of an `altExp(x)` (of
#'   an assay of a Seurat object), of which the first assay (the `data`) is taken and transposed. Used by
#'   protein-based metrics only.
#' @param assay.type name of the assay that holds the raw counts; for a Seurat object, of the layer (slot).
#' @param gene_names,cell_names names to use in place of the row and column names of `x`. Without any, `"gene1"`, ...
#'   and `"cell1"`, ... Names that occur twice are made unique with a message.
#' @param empty_cells what to do with cells without any count: `"error"` stops, `"drop"` leaves them out with a message,
#'   `"keep"` keeps them with a warning and \eqn{s_i = 0}, as scvi 0.6.8 did.
#' @param assay for a Seurat object: the name of its assay; `NULL` is the default assay.
#' @param covariates further covariates of the cells, for models to be conditioned on beside the batch: names of
#'   columns, or a data.frame with one row a cell. Numbers are continuous covariates; factors, text and logical values
#'   are categorical. `NA` is not allowed.
#' @param ... must be empty.
#'
#' @return A [GeneExpressionDataset-class] object. See [nb_cells()] and its companions for what can be read from it,
#'   [update_genes()] and [subsample_genes()] for making it smaller, [corrupt()] for corrupting its counts.
#'
#' @section Errors:
#' All are of class `rscvi_error`. `rscvi_invalid_counts`: values that are negative, fractional, infinite or missing.
#' `rscvi_empty_cells`: cells without counts. `rscvi_degenerate_batch`: a batch with one cell, or whose cells all have
#' the same number of counts, so that its library prior has no variance. `rscvi_invalid_argument`: everything else.
#'
#' @examples
#' counts <- matrix(rpois(200 * 30, lambda = 2), nrow = 200)
#' batch <- rep(c("ctrl", "stim"), 15)
#' dataset <- GeneExpressionDataset(counts, batch = batch)
#' dataset
#' library_prior(dataset)
#'
#' sce <- SingleCellExperiment::SingleCellExperiment(
#'     assays = list(counts = counts), colData = data.frame(batch = batch)
#' )
#' GeneExpressionDataset(sce, batch = "batch")
#' @name GeneExpressionDataset
NULL

#' @rdname GeneExpressionDataset
#' @export
setMethod("GeneExpressionDataset", "ANY",
    function(x, batch = NULL, labels = NULL, proteins = NULL, assay.type = "counts", gene_names = NULL,
             cell_names = NULL, empty_cells = c("error", "keep", "drop"), assay = NULL, covariates = NULL, ...) {
        check_no_dots(...)
        is_seurat <- inherits(x, "Seurat")
        if (!is.null(assay) && !is_seurat) {
            abort_rscvi(c("{.arg assay} is for Seurat objects, and {.arg x} is none.",
                i = "Use {.arg assay.type} for an assay of a SummarizedExperiment."))
        }
        parts <- if (is_seurat) {
            seurat_parts(x, assay, assay.type, proteins)
        } else if (is_summarized(x)) {
            summarized_parts(x, assay.type, proteins)
        } else {
            list(counts = as_count_matrix(x), proteins = proteins)
        }
        build_dataset(parts$counts,
            batch = cell_column(batch, "batch", parts$cell_data, parts$cell_data_name),
            labels = cell_column(labels, "labels", parts$cell_data, parts$cell_data_name),
            proteins = parts$proteins, cell_data = parts$cell_data, covariates = covariates,
            where = parts$cell_data_name,
            gene_names = if (is.null(gene_names)) rownames(parts$counts) else gene_names,
            cell_names = if (is.null(cell_names)) colnames(parts$counts) else cell_names,
            empty_cells = empty_cells, source = parts$source
        )
    })

check_no_dots <- function(...) {
    if (...length() > 0L) {
        given <- ...names()
        if (is.null(given)) given <- "without a name"
        abort_rscvi("Unknown argument{?s}: {.arg {given}}.")
    }
}

# From any container to the object: everything is checked here. `source` says where the counts came from (argument,
# its value, what else there is), for the advice in errors about their values.
build_dataset <- function(counts, batch, labels, proteins, cell_data, covariates, where, gene_names, cell_names,
                          empty_cells, source) {
    empty_cells <- check_choice(empty_cells[1L], "empty_cells", c("error", "keep", "drop"))
    if (nrow(counts) == 0L || ncol(counts) == 0L) {
        abort_rscvi(c(
            "{.arg x} has {nrow(counts)} gene{?s} and {ncol(counts)} cell{?s}: there must be at least one of each.",
            i = "Counts are genes x cells."
        ))
    }
    # A new Dimnames slot shares i, p and x with the user's matrix: nothing is copied.
    counts@Dimnames <- list(
        resolve_names(gene_names, "gene_names", nrow(counts), "gene"),
        resolve_names(cell_names, "cell_names", ncol(counts), "cell")
    )
    cells <- counts@Dimnames[[2L]]
    # Names that we made up can match nothing that the user gave.
    known <- if (is.null(cell_names)) NULL else cells
    batch <- cell_factor(batch, "batch", ncol(counts), known, default = "1")
    labels <- cell_factor(labels, "labels", ncol(counts), known, default = "undefined", may_be_missing = TRUE)
    proteins <- check_proteins(proteins, ncol(counts), known)
    covariates <- check_covariates(covariates, ncol(counts), known, cell_data, where)
    totals <- check_counts(counts, source)
    keep <- check_empty_cells(totals, cells, empty_cells)
    if (!is.null(keep)) {
        counts <- counts[, keep, drop = FALSE]
        batch <- batch[keep]
        labels <- labels[keep]
        proteins <- proteins[keep, , drop = FALSE]
        cell_data <- cell_data[keep, , drop = FALSE]
        covariates <- covariates[keep, , drop = FALSE]
        totals <- totals[keep]
    }
    new_dataset(counts, batch, labels, proteins, as_cell_data(cell_data, counts@Dimnames[[2L]]), covariates, totals)
}

# Ingredients that are known to fit -> the object; the prior is computed here and nowhere else.
new_dataset <- function(counts, batch, labels, proteins, cell_data, covariates, totals, corrupted = NULL) {
    batch <- drop_unused_levels(batch, "batch")
    labels <- drop_unused_levels(labels, "label")
    for (name in names(covariates)) {
        if (is.factor(covariates[[name]])) covariates[[name]] <- droplevels(covariates[[name]])
    }
    prior <- compute_library_prior(totals, batch)
    codes <- as.integer(batch)
    methods::new("GeneExpressionDataset",
        counts = counts, corrupted = corrupted, batch = batch, labels = labels,
        local_means = prior$mean[codes], local_vars = prior$var[codes],
        covariates = covariates, proteins = proteins, cell_data = cell_data,
        version = as.character(utils::packageVersion("rscvi")), cache = new.env(parent = emptyenv())
    )
}

# Per batch: mean and population variance of the log of the cells' totals, rounded to single precision.
compute_library_prior <- function(totals, batch) {
    log_totals <- ifelse(totals > 0, log(totals), 0)
    groups <- split(log_totals, batch)
    flat <- vapply(groups, function(s) min(s) == max(s), logical(1L))
    if (any(flat)) {
        name <- names(groups)[flat][1L]
        n <- length(groups[[name]])
        reason <- if (n == 1L) "has only one cell" else "has {n} cells with the same number of counts each"
        abort_rscvi(c(
            paste0("Batch {.val {name}} ", reason, ", so that its library-size prior has no variance."),
            i = if (n == 1L) "Leave this cell out, or merge the batch with another one."
            else "Give counts that were not brought to one depth, or merge the batch with another one.",
            if (sum(flat) > 1L) c(i = "{sum(flat)} batches of {length(flat)} are like this.")
        ), class = "degenerate_batch")
    }
    mean <- vapply(groups, base::mean, numeric(1L))
    var <- vapply(groups, function(s) base::mean((s - base::mean(s))^2), numeric(1L))
    list(mean = round_to_float_cpp(unname(mean)), var = round_to_float_cpp(unname(var)))
}
