# Data that the model makes up: counts, denoised expression, and the parameters they are drawn with.

#' Counts drawn from the model
#'
#' Posterior predictive draws, to be held against the counts themselves: for each cell and draw, z and the log library
#' size l from \eqn{q(z|x) q(l|x)}, and counts from the model's likelihood given them. With \eqn{\mu}, \eqn{\theta} and
#' \eqn{\pi} as in [generate_parameters()]:
#'
#' * `"nb"`: \eqn{w \sim \textrm{Gamma}(\textrm{shape } \theta, \textrm{mean } \mu)}, \eqn{x \sim \textrm{Poisson}(w)};
#' * `"zinb"`: the same, then 0 with probability \eqn{1 / (1 + e^{-\pi})};
#' * `"poisson"`: \eqn{x \sim \textrm{Poisson}(\mu)}.
#'
#' (Lopez et al. 2018, *Nature Methods* 15:1053; scvi 0.6.8, `Posterior.generate`.) Rates above \eqn{10^8} count as
#' \eqn{10^8}.
#'
#' @param post a [Posterior()].
#' @param n_samples number S of draws a cell.
#' @param genes `NULL` (all genes), or names, 1-based indices or a mask; results have them in the order given.
#' @param batch_size number of cells computed on at a time.
#' @param transform_batch `NULL` decodes each cell as its own batch; a batch (level name or 1-based code) decodes all
#'   cells as that one.
#' @param noise `NULL`, or `list(z =, library =)` of standard normal draws to use in place of those of z and l: S x n x
#'   L and S x n x 1, or n x L and n x 1 if `n_samples = 1`. Counts are drawn all the same.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator. They also depend on `batch_size`.
#' @return A list of `x_new`, an integer array of cells x genes x draws, and `x_old`, the counts that the posterior
#'   reads, a matrix of cells x genes. Both with dimnames, cells in the order of `indices(post)`.
#' @section Differences from scvi 0.6.8: `n_samples = 1` works, as do rates that underflow to 0; `transform_batch` is
#'   new.
#' @section Memory: `x_new`, 4 bytes a number, of `genes` alone; computed a bounded number of cells and draws at a time.
#' @section Errors: `rscvi_invalid_argument`, naming the argument.
#' @seealso [generate_denoised_samples()]
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' drawn <- generate(post, n_samples = 20, seed = 1)
#' dim(drawn$x_new)
#' # Share of zeros of some genes, drawn and counted (the model is not trained)
#' rbind(drawn = apply(drawn$x_new == 0, 2, mean), counted = colMeans(drawn$x_old == 0))[, 1:5]
#' @name generate
NULL

#' @rdname generate
#' @export
setMethod("generate", "Posterior", function(post, n_samples = 100, genes = NULL, batch_size = 128,
                                            transform_batch = NULL, noise = NULL, seed = NULL) {
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    genes <- check_genes_in_order(genes, post)
    transform_batch <- check_posterior_batch(transform_batch, post)
    post <- update(post, batch_size = batch_size)
    noise <- check_draw_noise(noise, post, n_samples)
    x_new <- core(posterior_generate_cpp(posterior_core(post), n_samples, transform_batch, genes, noise,
        resolve_seed(seed)))
    name_in_place(x_new, c(expression_names(post, genes), list(NULL)))
    list(x_new = x_new, x_old = dense_counts(post, genes))
})

# The counts that a posterior reads, cells x genes.
dense_counts <- function(post, genes) {
    dataset <- post@gene_dataset
    counts <- if (post@use_corrupted) corrupted_counts(dataset) else dataset@counts
    if (!is.null(genes)) counts <- counts[genes, , drop = FALSE]
    x <- t(as.matrix(counts[, post@indices, drop = FALSE]))
    dimnames(x) <- expression_names(post, genes)
    x
}

#' Denoised expression drawn from the model
#'
#' The rates behind the counts at a library size that all cells share: for each cell and draw, z from \eqn{q(z|x)}, and
#' \deqn{w_{ig} \sim \textrm{Gamma}(\textrm{shape } \theta_{ig}, \textrm{rate } \theta_{ig} / (s \rho_{ig})),}
#' of mean \eqn{s \rho_{ig}} and variance \eqn{(s \rho_{ig})^2 / \theta_{ig}} given z, with s the `rna_size_factor`.
#' There is no Poisson noise and no dropout in them (scvi 0.6.8, `Posterior.generate_denoised_samples`). A Poisson model
#' knows no variation of the rates, \eqn{\theta \to \infty}: its draws are \eqn{s \rho_{ig}} itself.
#'
#' @inheritParams generate
#' @param n_samples number S of draws a cell.
#' @param rna_size_factor the library size s.
#' @param noise `NULL`, or `list(z = )` of standard normal draws to use in place of those of z: S x n x L, or n x L if
#'   `n_samples = 1`. The gamma variables are drawn all the same.
#' @return An array of cells x genes x draws with dimnames, cells in the order of `indices(post)`.
#' @section Differences from scvi 0.6.8: there `transform_batch` is ignored, `n_samples = 1` is an error, and draws of a
#'   Poisson model use a dispersion that was never fitted. `genes` is new.
#' @section Memory: the result, 8 bytes a number; computed a bounded number of cells and draws at a time.
#' @section Errors: `rscvi_invalid_argument`, naming the argument.
#' @seealso [get_sample_scale()] for the expected shares \eqn{\rho} alone.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' denoised <- generate_denoised_samples(post, n_samples = 10, transform_batch = "ctrl", seed = 1)
#' dim(denoised)
#' apply(denoised[, 1:3, ], 2, quantile)
#' @name generate_denoised_samples
NULL

#' @rdname generate_denoised_samples
#' @export
setMethod("generate_denoised_samples", "Posterior", function(post, n_samples = 25, batch_size = 64,
                                                             rna_size_factor = 1000, transform_batch = NULL,
                                                             genes = NULL, noise = NULL, seed = NULL) {
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    rna_size_factor <- check_size_factor(rna_size_factor)
    genes <- check_genes_in_order(genes, post)
    transform_batch <- check_posterior_batch(transform_batch, post)
    post <- update(post, batch_size = batch_size)
    noise <- check_draw_noise(noise, post, n_samples, want_library = FALSE)
    denoised <- core(posterior_denoised_cpp(posterior_core(post), n_samples, rna_size_factor, transform_batch, genes,
        noise, resolve_seed(seed)))
    name_in_place(denoised, c(expression_names(post, genes), list(NULL)))
    denoised
})

check_size_factor <- function(x) {
    check_number(x, "rna_size_factor", lower = 0, lower_open = TRUE, upper_open = TRUE)
}

#' Which genes go together in denoised expression
#'
#' Correlations between genes over all cells and draws of [generate_denoised_samples()]: of ranks (equal values share
#' the mean of their ranks), or of the values. Unlike correlations of counts they are not drawn to 0 by Poisson noise
#' and dropout, and not away from it by library sizes (scvi 0.6.8, `Posterior.generate_feature_correlation_matrix`).
#' With \eqn{a_{rg}} the value (or rank) of gene g in row r of the cells x draws,
#' \deqn{c_{gh} = \frac{\sum_r (a_{rg} - \bar{a}_g)(a_{rh} - \bar{a}_h)}{\sqrt{\sum_r (a_{rg} - \bar{a}_g)^2
#' \sum_r (a_{rh} - \bar{a}_h)^2}}.}{c_gh = cor(a_.g, a_.h).}
#' With several batches the cells are decoded as each of them, and the matrices averaged.
#'
#' @inheritParams generate_denoised_samples
#' @param transform_batch `NULL` decodes each cell as its own batch; a batch (level name or 1-based code) decodes all
#'   cells as that one; correlations of several are averaged over.
#' @param correlation_type `"spearman"` or `"pearson"`.
#' @return A matrix of genes x genes with dimnames. A gene with one and the same value in all cells and draws correlates
#'   with no other: `NA`, as in [stats::cor()].
#' @section Seeds: with the same `seed`, `batch_size`, `genes` and `noise` the draws are those of
#'   [generate_denoised_samples()]. Each batch starts from the seed: its matrix is the one that it has alone.
#' @section Differences from scvi 0.6.8: there `transform_batch` is ignored, and two genes with `"spearman"` give one
#'   number. `genes` is new.
#' @section Memory: 4 bytes times genes x cells x `n_samples` for the draws, which are ranked in place, and the result,
#'   8 bytes a number; 20,000 genes in 5,000 cells with 10 draws are 4 GB and 3.2 GB. `genes` is the way to ask for
#'   less.
#' @section Errors: `rscvi_invalid_argument`, naming the argument; also for a single draw of a single cell.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' correlations <- generate_feature_correlation_matrix(post, seed = 1)
#' round(correlations[1:4, 1:4], 3)
#' @name generate_feature_correlation_matrix
NULL

#' @rdname generate_feature_correlation_matrix
#' @export
setMethod("generate_feature_correlation_matrix", "Posterior", function(
    post, n_samples = 10, batch_size = 64, rna_size_factor = 1000, transform_batch = NULL,
    correlation_type = "spearman", genes = NULL, noise = NULL, seed = NULL) {
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    rna_size_factor <- check_size_factor(rna_size_factor)
    check_choice(correlation_type, "correlation_type", c("spearman", "pearson"))
    genes <- check_genes_in_order(genes, post)
    transform_batch <- check_posterior_batch(transform_batch, post, many = TRUE)
    if (nb_cells(post) == 1L && n_samples == 1L) {
        abort_rscvi(c("A correlation needs at least two observations, but there is one draw of one cell.",
            i = "Use a larger {.arg n_samples}, or more cells."))
    }
    post <- update(post, batch_size = batch_size)
    noise <- check_draw_noise(noise, post, n_samples, want_library = FALSE)
    correlation <- core(posterior_correlation_cpp(posterior_core(post), n_samples, rna_size_factor, transform_batch,
        genes, correlation_type, noise, resolve_seed(seed)))
    dimnames(correlation) <- rep(expression_names(post, genes)[2L], 2L)
    correlation
})

#' Parameters of the counts
#'
#' What the model says the counts of each cell are drawn with: for each draw of z and of the log library size l, the
#' mean \eqn{\mu = e^l \rho} of the negative binomial (or Poisson) distribution, its inverse dispersion \eqn{\theta}
#' (variance \eqn{\mu + \mu^2/\theta}), and the **logit** \eqn{\pi} of the probability that a count is set to 0, which
#' `stats::plogis()` makes a probability (Lopez et al. 2018, *Nature Methods* 15:1053, Online Methods; scvi 0.6.8,
#' `Posterior.generate_parameters`).
#'
#' A negative binomial model has no dropout, and a Poisson model neither dropout nor dispersion; there these are `NULL`.
#' scvi 0.6.8 returns what the unused parts of its decoder happen to give: they take part in no likelihood, and nothing
#' ever fits them. `unused = TRUE` asks for them.
#'
#' @param post a [Posterior()].
#' @param n_samples number S of draws of z and l a cell.
#' @param give_mean whether to average over the draws (dropout: the logits).
#' @param unused whether to return parameters that the model's likelihood does not have, too.
#' @param noise `NULL`, or `list(z =, library =)` of standard normal draws to use in place of random ones: n x L and
#'   n x 1, or S x n x L and S x n x 1 if `n_samples > 1`.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return A list of `dropout`, `means` and `dispersions`: matrices of cells x genes with dimnames, cells in the order
#'   of `indices(post)`; for `n_samples > 1` without `give_mean` arrays of draws x cells x genes. `dispersions` is
#'   always cells x genes unless the model's dispersion is `"gene-cell"`, where it depends on the draw as the others do.
#' @section Differences from scvi 0.6.8: there several draws are joined along the wrong axis as soon as there is more
#'   than one minibatch, and dispersions other than `"gene"` come in blocks of minibatch x minibatch x genes. A tuple
#'   there is a named list here, and what the model does not have is left out.
#' @section Memory: three times the size of a result, 8 bytes a number; computed a bounded number of cells and draws at
#'   a time.
#' @section Errors: `rscvi_invalid_argument`, naming the argument.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset, indices = 1:100)
#' parameters <- generate_parameters(post, n_samples = 10, give_mean = TRUE, seed = 1)
#' lapply(parameters, function(x) x[1:2, 1:3])
#' @name generate_parameters
NULL

#' @rdname generate_parameters
#' @export
setMethod("generate_parameters", "Posterior", function(post, n_samples = 1, give_mean = FALSE, unused = FALSE,
                                                       noise = NULL, seed = NULL) {
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    check_flag(give_mean, "give_mean")
    check_flag(unused, "unused")
    noise <- check_draw_noise(noise, post, n_samples)
    options <- post@model@options
    core(posterior_parameters_cpp(posterior_core(post), n_samples, give_mean,
        unused || options$reconstruction_loss == "zinb", unused || options$reconstruction_loss != "poisson",
        options$dispersion == "gene-cell", expression_names(post, NULL), noise, resolve_seed(seed)))
})
