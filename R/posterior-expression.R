# What the model says of expression.

#' Expected share of each gene
#'
#' The denoised expression \eqn{\rho_{ig}}, the share of gene g among the transcripts of cell i that the decoder gives
#' for draws of z from \eqn{q(z|x)}. Shares of all genes sum to 1 (to `library_size`).
#'
#' @param post a [Posterior()].
#' @param transform_batch `NULL` decodes each cell as its own batch; a batch (level name or 1-based code) decodes all cells
#'   as that one; several are averaged over, cell by cell and draw by draw.
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
#' @section Errors: `rscvi_invalid_argument` for genes or batches that do not exist (scvi 0.6.8 ignores them without a
#'   word), and for `return_df = TRUE` with draws that are not averaged.
#' @section Memory: the result, 8 bytes a number; computed `batch_size` cells at a time. `gene_list` is the way to ask for
#'   less: the softmax needs all genes, but only those asked for are kept.
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
    dataset <- post@gene_dataset
    check_flag(return_mean, "return_mean")
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    library_size <- check_number(library_size, "library_size", lower = 0, lower_open = TRUE, upper_open = TRUE)
    genes <- if (is.null(gene_list)) NULL else sort(unique(
        check_indices(gene_list, "gene_list", nb_genes(dataset), gene_names(dataset))))
    if (!is.null(gene_list) && length(genes) == 0L) abort_rscvi("{.arg gene_list} selects no gene.")
    transform_batch <- check_transform_batch(transform_batch, post@model, levels(batch_indices(dataset)), many = TRUE)
    averaged <- return_mean || n_samples == 1L
    return_df <- if (is.null(return_df)) averaged && length(genes) > 1L else check_flag(return_df, "return_df")
    if (return_df && !averaged) {
        abort_rscvi(c("{.code return_df = TRUE} needs draws that are averaged, or only one.",
            i = "Use {.code return_mean = TRUE}, or {.code return_df = FALSE} for an array of draws x cells x genes."))
    }
    noise <- check_scale_noise(noise, post, n_samples)
    scale <- core(posterior_sample_scale_cpp(posterior_core(post), n_samples, averaged, transform_batch, genes,
        library_size, noise, resolve_seed(seed)))
    names <- gene_names(dataset)[if (is.null(genes)) seq_len(nb_genes(dataset)) else genes]
    dimnames(scale) <- c(if (!averaged) list(NULL), list(posterior_cell_names(post), names))
    if (return_df) as.data.frame(scale, optional = TRUE) else scale
})

# The core always takes S x n x L here; a single draw may come without its first dimension.
check_scale_noise <- function(noise, post, n_samples) {
    n_latent <- post@model@options$n_latent
    if (is.list(noise) && n_samples == 1L && length(dim(noise$z)) == 2L) dim(noise$z) <- c(1L, dim(noise$z))
    if (is.list(noise)) noise$library <- NULL
    checked <- check_noise(if (length(noise)) noise, nb_cells(post), n_latent, n_samples)
    # The library has no part in a share; zeros spare the core the draws.
    checked$library <- array(0, c(n_samples, nb_cells(post), 1L))
    checked
}
