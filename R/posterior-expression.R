# What the model says of expression.

#' Expected share of each gene
#'
#' The denoised expression \eqn{\rho_{ig}}, the share of gene g among the transcripts of cell i that the decoder gives
#' for draws of z from \eqn{q(z|x)}: a softmax over all genes, so that shares sum to 1 (to `library_size`).
#'
#' @param post a [Posterior()].
#' @param transform_batch `NULL` decodes each cell as its own batch; a batch (level name or 1-based code) decodes all
#'   cells as that one; several are averaged over, cell by cell and draw by draw.
#' @param gene_list `NULL` (all genes), or names, 1-based indices or a mask; results keep the data set's order of genes.
#' @param library_size what the shares are multiplied by: 1, or for instance 1e4.
#' @param return_df whether to return a data.frame; `NULL`: if `gene_list` has more than one gene and the result is a
#'   matrix.
#' @param n_samples number S of draws of z a cell.
#' @param return_mean whether to average over the draws.
#' @param noise `NULL`, or `list(z = )` of standard normal draws to use in place of random ones: n x L, or S x n x L if
#'   `n_samples > 1`.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return A matrix of cells x genes with dimnames, cells in the order of `indices(post)`; a data.frame of the same with
#'   `return_df`; for `n_samples > 1` without `return_mean` an array of draws x cells x genes.
#' @section Errors: `rscvi_invalid_argument` for genes or batches that do not exist, and for `return_df = TRUE` with
#'   draws that are not averaged.
#' @section Differences from scvi 0.6.8: there genes that do not exist are left out, and batches of a model without
#'   batches ignored, without a word.
#' @references Lopez et al. (2018) Deep generative modeling for single-cell transcriptomics. *Nature Methods*
#'   15:1053-1058, Online Methods. scvi 0.6.8, `inference/posterior.py`, `get_sample_scale()`.
#' @section Memory: the result, 8 bytes a number; computed a bounded number of cells and draws at a time. `gene_list` is
#'   the way to ask for less: the softmax needs all genes, but only those asked for are kept.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' scale <- get_sample_scale(post, seed = 1)
#' range(rowSums(scale))
#' genes <- gene_names(dataset)[1:3]
#' head(get_sample_scale(post, transform_batch = "ctrl", gene_list = genes, library_size = 1e4, n_samples = 10), 3)
#' @name get_sample_scale
NULL

#' @rdname get_sample_scale
#' @export
setMethod("get_sample_scale", "Posterior", function(post, transform_batch = NULL, gene_list = NULL, library_size = 1,
                                                    return_df = NULL, n_samples = 1, return_mean = TRUE, noise = NULL,
                                                    seed = NULL) {
    check_flag(return_mean, "return_mean")
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    library_size <- check_number(library_size, "library_size", lower = 0, lower_open = TRUE, upper_open = TRUE)
    genes <- check_gene_list(gene_list, post)
    transform_batch <- check_posterior_batch(transform_batch, post, many = TRUE)
    averaged <- return_mean || n_samples == 1L
    return_df <- if (is.null(return_df)) averaged && length(genes) > 1L else check_flag(return_df, "return_df")
    if (return_df && !averaged) {
        abort_rscvi(c("{.code return_df = TRUE} needs draws that are averaged, or only one.",
            i = "Use {.code return_mean = TRUE}, or {.code return_df = FALSE} for an array of draws x cells x genes."))
    }
    noise <- check_draw_noise(noise, post, n_samples, want_library = FALSE)
    scale <- core(posterior_sample_scale_cpp(posterior_core(post), n_samples, averaged, return_df, transform_batch,
        genes, library_size, noise, resolve_seed(seed)))
    names <- expression_names(post, genes)
    if (return_df) return(as_data_frame_of_columns(scale, names))
    name_in_place(scale, c(if (!averaged) list(NULL), names))
})

#' Expected counts
#'
#' The mean \eqn{\mu_{ig} = e^{l_i} \rho_{ig}} of the counts of gene g in cell i (before any dropout) that the decoder
#' gives for draws of z and of the log library size l from \eqn{q(z|x) q(l|x)}: what the model would put in the place of
#' a count, at the cell's own library size (Lopez et al. 2018, *Nature Methods* 15:1053; scvi 0.6.8,
#' `Posterior.imputation`).
#'
#' @inheritParams get_sample_scale
#' @param n_samples number S of draws of z and l a cell.
#' @param noise `NULL`, or `list(z =, library =)` of standard normal draws to use in place of random ones: n x L and
#'   n x 1, or S x n x L and S x n x 1 if `n_samples > 1`. In the order of `indices(post)`.
#' @return A matrix of cells x genes with dimnames, cells in the order of `indices(post)`; for `n_samples > 1` an array
#'   of draws x cells x genes.
#' @section Differences from scvi 0.6.8: there several draws are joined along the wrong axis as soon as there is more
#'   than one minibatch: an error, or an array of another shape. Genes and batches that do not exist are errors here.
#' @section Memory: the result, 8 bytes a number; computed a bounded number of cells and draws at a time. `gene_list` is
#'   the way to ask for less.
#' @section Errors: `rscvi_invalid_argument`, naming the argument.
#' @seealso [get_sample_scale()] for shares, free of the library size; [imputation_list()] for how good they are.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' imputation(post, seed = 1)[1:3, 1:4]
#' dim(imputation(post, n_samples = 5, transform_batch = c("ctrl", "stim"), seed = 1))
#' @name imputation
NULL

#' @rdname imputation
#' @export
setMethod("imputation", "Posterior", function(post, n_samples = 1, transform_batch = NULL, gene_list = NULL,
                                              noise = NULL, seed = NULL) {
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    genes <- check_gene_list(gene_list, post)
    transform_batch <- check_posterior_batch(transform_batch, post, many = TRUE)
    noise <- check_draw_noise(noise, post, n_samples)
    rate <- core(posterior_sample_rate_cpp(posterior_core(post), n_samples, transform_batch, genes, noise,
        resolve_seed(seed)))
    name_in_place(rate, c(if (n_samples > 1L) list(NULL), expression_names(post, genes)))
})

# What the methods that draw expression share -------------------------------------------------------------------------

# NULL, or indices in the data set's order.
check_gene_list <- function(gene_list, post, arg = "gene_list") {
    if (is.null(gene_list)) return(NULL)
    dataset <- post@gene_dataset
    genes <- sort(unique(check_indices(gene_list, arg, nb_genes(dataset), gene_names(dataset))))
    if (length(genes) == 0L) abort_rscvi("{.arg {arg}} selects no gene.")
    genes
}

# NULL, or indices in the order asked for.
check_genes_in_order <- function(genes, post, arg = "genes") {
    if (is.null(genes)) return(NULL)
    dataset <- post@gene_dataset
    genes <- check_indices(genes, arg, nb_genes(dataset), gene_names(dataset), allow_duplicates = FALSE)
    if (length(genes) == 0L) abort_rscvi("{.arg {arg}} selects no gene.")
    genes
}

check_posterior_batch <- function(transform_batch, post, many = FALSE) {
    if (!is.null(transform_batch) && length(transform_batch) == 0L) {
        abort_rscvi("{.arg transform_batch} names no batch; {.code NULL} decodes each cell as its own.")
    }
    check_transform_batch(transform_batch, post@model, levels(batch_indices(post@gene_dataset)), many = many)
}

# The core always takes S x n x L and S x n x 1 here; a single draw may come without its first dimension.
check_draw_noise <- function(noise, post, n_samples, want_library = TRUE) {
    if (is.list(noise) && n_samples == 1L) {
        if (length(dim(noise$z)) == 2L) dim(noise$z) <- c(1L, dim(noise$z))
        if (is.null(dim(noise$library)) || identical(ncol(noise$library), 1L)) {
            if (!is.null(noise$library)) dim(noise$library) <- c(1L, length(noise$library), 1L)
        }
    }
    # The library has no part in a share.
    if (!want_library && is.list(noise)) noise$library <- NULL
    check_noise(if (length(noise)) noise, nb_cells(post), post@model@options$n_latent, n_samples)
}

# Gives an array that the core just made its dimnames, and returns it. `dimnames<-` would copy it, which for a result of
# cells x genes is as much memory again.
name_in_place <- function(x, names) set_dimnames_cpp(x, names)

# The same as as.data.frame() of a matrix with these dimnames, whose columns are not copied.
as_data_frame_of_columns <- function(columns, dimnames) {
    names(columns) <- dimnames[[2L]]
    attr(columns, "row.names") <- .set_row_names(length(dimnames[[1L]]))
    class(columns) <- "data.frame"
    .rowNamesDF(columns, make.names = TRUE) <- dimnames[[1L]]
    columns
}

expression_names <- function(post, genes) {
    names <- gene_names(post@gene_dataset)
    list(posterior_cell_names(post), if (is.null(genes)) names else names[genes])
}
