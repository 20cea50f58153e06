# How well the model explains cells.

#' How well a model explains cells
#'
#' All three are **per cell, in nats, and smaller is better**: as in scvi 0.6.8 they are negative log-likelihoods, or
#' bounds of one, in spite of their names.
#'
#' * `elbo()`: the negative evidence lower bound, \eqn{-\ln p(x|z,l) + KL(q(z|x)\|p(z)) + KL(q(l|x)\|p(l))}, with one
#'   draw of z and l a cell (Kingma & Welling 2014, equation 3).
#'   For a [SCANVI()] the second term is that of \eqn{z_2}, and \eqn{\ln q(z_1|x) - \ln p(z_1|z_2,y)} is added.
#' * `reconstruction_error()`: its first term alone.
#' * `marginal_ll()`: \eqn{-\ln p(x)}, by importance sampling with S draws from q a cell:
#'   \eqn{-\ln \frac{1}{S}\sum_s p(z_s) p(l_s) p(x|z_s,l_s) / (q(z_s|x) q(l_s|x))} (Burda et al. 2016, equation 8).
#'   An upper bound in expectation that falls towards the truth as S grows. For `latent_distribution = "ln"`, which
#'   scvi 0.6.8 refuses, z stands for the Gaussian before the softmax.
#'
#' @param post a [Posterior()].
#' @param n_mc_samples number S of draws a cell.
#' @param noise `NULL`, or `list(z =, library =)` of standard normal draws to use in place of random ones: n x L and
#'   n x 1 (and `z2`, n x L, for the `elbo()` of a [SCANVI()]); for `marginal_ll()` S x n x L and S x n x 1. In the
#'   order of `indices(post)`.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return One number: the mean over the posterior's cells.
#' @section Differences from scvi 0.6.8: `marginal_ll()` of the logistic normal latent distribution.
#' @references Kingma & Welling (2014) Auto-encoding variational Bayes. *ICLR*. Burda et al. (2016) Importance weighted
#'   autoencoders. *ICLR*. scvi 0.6.8, `models/log_likelihood.py`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' elbo(post, seed = 1)
#' reconstruction_error(post, seed = 1)
#' marginal_ll(post, n_mc_samples = 20, seed = 1)
#' @name elbo
NULL

#' @rdname elbo
#' @export
setMethod("elbo", "Posterior", function(post, noise = NULL, seed = NULL) sum(mean_losses(post, noise, seed)))

#' @rdname elbo
#' @export
setMethod("reconstruction_error", "Posterior", function(post, noise = NULL, seed = NULL) {
    mean_losses(post, noise, seed)[["reconst_loss"]]
})

#' @rdname elbo
#' @export
setMethod("marginal_ll", "Posterior", function(post, n_mc_samples = 1000, noise = NULL, seed = NULL) {
    n_mc_samples <- check_count(n_mc_samples, "n_mc_samples", lower = 1L)
    noise <- check_noise(noise, nb_cells(post), post@model@options$n_latent, n_mc_samples)
    core(posterior_marginal_ll_cpp(posterior_core(post), n_mc_samples, noise, resolve_seed(seed)))
})

mean_losses <- function(post, noise, seed) {
    noise <- check_loss_noise(noise, nb_cells(post), post@model, labelled = TRUE)
    core(posterior_losses_cpp(posterior_core(post), noise, resolve_seed(seed)))
}
