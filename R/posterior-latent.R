# Where cells lie in latent space, and how large their libraries are.

#' The latent space
#'
#' What the encoder makes of a cell's counts x: with \eqn{q(z|x) = N(m(x), v(x))}, the mean
#' \eqn{m(x)}, or a draw \eqn{m(x) + \sqrt{v(x)}\,\epsilon} with standard normal \eqn{\epsilon}. For
#' `latent_distribution = "ln"` z is the softmax of that draw; its mean has no closed form, and is the average of
#' `n_samples` draws.
#'
#' @param post a [Posterior()].
#' @param give_mean `TRUE`: the mean of \eqn{q(z|x)}; `FALSE`: one draw from it.
#' @param n_samples number of draws that the mean is taken over, for `latent_distribution = "ln"` alone.
#' @param noise `NULL`, or `list(z = )` of standard normal draws to use in place of random ones: n x L for a draw,
#'   S x n x L for a mean over S draws.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return `get_latent()`: a data.frame with one row a cell, in the order of `indices(post)`, cell names as row names:
#'   columns `latent_1`, ..., `latent_L`, `batch` and `labels` (factors). `latent_matrix()`: the coordinates alone, a
#'   matrix of cells x L with dimnames.
#' @section Differences from scvi 0.6.8: there the rows come in a new random order on each call unless the posterior is
#'   `sequential()`; here they are always in the order of `indices`. The three parts of its tuple are columns.
#' @references Lopez et al. (2018) Deep generative modeling for single-cell transcriptomics. *Nature Methods*
#'   15:1053-1058, Online Methods. scvi 0.6.8, `inference/posterior.py`, `get_latent()`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 100, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 16, n_latent = 3, seed = 1), dataset)
#' head(get_latent(post))
#' dim(latent_matrix(post))
#' @name get_latent
NULL

#' @rdname get_latent
#' @export
setMethod("get_latent", "Posterior", function(post, give_mean = TRUE, n_samples = 5000, noise = NULL, seed = NULL) {
    z <- latent_matrix(post, give_mean, n_samples, noise, seed)
    data.frame(z,
        batch = batch_indices(post@gene_dataset)[post@indices], labels = labels(post@gene_dataset)[post@indices],
        row.names = rownames(z)
    )
})

#' @rdname get_latent
#' @export
latent_matrix <- function(post, give_mean = TRUE, n_samples = 5000, noise = NULL, seed = NULL) {
    check_class(post, "post", "Posterior")
    check_model_of_counts(post@model, "The model of this posterior")
    check_flag(give_mean, "give_mean")
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    n_latent <- post@model@options$n_latent
    averages <- give_mean && post@model@options$latent_distribution == "ln"
    noise <- check_noise(noise, nb_cells(post), n_latent, if (averages && !is.null(noise$z)) dim(noise$z)[1L])
    # The mean of a Gaussian needs no draw: leave R's stream alone.
    if (is.null(seed) && give_mean && !averages) seed <- 0L
    z <- core(posterior_latent_cpp(posterior_core(post), give_mean, n_samples, noise, resolve_seed(seed)))
    dimnames(z) <- list(posterior_cell_names(post), paste0("latent_", seq_len(n_latent)))
    z
}

#' Draws of the log library size
#'
#' One draw \eqn{l = m_l(x) + \sqrt{v_l(x)}\,\epsilon} a cell from \eqn{q(l|x) = N(m_l(x), v_l(x))}, the second
#' encoder's distribution of the log library size of a cell with counts x; \eqn{\epsilon} is standard normal.
#'
#' @param post a [Posterior()].
#' @param noise `NULL`, or `list(library = )` of n standard normal draws to use in place of random ones.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return Numeric vector with one draw of l a cell, named by cell, in the order of `indices(post)`.
#' @section Differences from scvi 0.6.8: none, but for the names.
#' @references Lopez et al. (2018) Deep generative modeling for single-cell transcriptomics. *Nature Methods*
#'   15:1053-1058, Online Methods. scvi 0.6.8, `inference/posterior.py`, `get_stats()`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8), dataset, indices = 1:5)
#' get_stats(post, seed = 1)
#' @name get_stats
NULL

#' @rdname get_stats
#' @export
setMethod("get_stats", "Posterior", function(post, noise = NULL, seed = NULL) {
    noise <- check_noise(noise, nb_cells(post), post@model@options$n_latent)
    draws <- core(posterior_library_cpp(posterior_core(post), noise, resolve_seed(seed)))
    stats::setNames(draws, posterior_cell_names(post))
})
