# LDVAE: a VAE whose latent variables can be read as factors.

#' scVI with a linear decoder
#'
#' A [VAE()] whose decoder is linear: \eqn{\rho_i = softmax(BN(W z_i))}, so that each latent variable has a loading for
#' every gene, as in a factor analysis (Svensson et al. 2020, *Bioinformatics* 36:3418; scvi 0.6.8, `models/vae.py`).
#' One-hot columns of the batch are part of the decoder's input.
#'
#' @inheritParams VAE
#' @param n_layers_encoder number of hidden layers of the encoder of z.
#' @param use_batch_norm normalise each gene of the decoder's output over the cells of a minibatch, before the softmax.
#' @param bias let the decoder have an intercept for each gene.
#' @param normalisation of the encoders, as for [VAE()]; that of the decoder is `use_batch_norm`.
#' @param dispersion as for [VAE()], but for `"gene-cell"`, which a linear decoder does not give.
#' @return `LDVAE()`: an object of class `LDVAE` (see [SCVIModel-class]). `get_loadings()`: a data.frame of genes x
#'   latent variables: \eqn{W_{gk}}, with batch normalisation times \eqn{\gamma_g / \sqrt{\sigma^2_g + 0.001}}, its
#'   scale and running variance; the columns of the batch are left out.
#' @section Errors: `rscvi_invalid_argument`, naming the argument, for values that are out of range or unknown.
#' @section Differences from scvi 0.6.8: the loadings have names; `dispersion = "gene-cell"` is an error at once.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), new_n_genes = 100,
#'   mode = "variance")
#' ldvae <- LDVAE(dataset, n_hidden = 16, n_latent = 4, seed = 1)
#' train(UnsupervisedTrainer(ldvae, dataset), n_epochs = 2, seed = 1)
#' head(get_loadings(ldvae))
#' @export
LDVAE <- function(n_input, n_batch = 0, n_labels = 0, n_hidden = 128, n_latent = 10, n_layers_encoder = 1,
                  dropout_rate = 0.1, dispersion = "gene", log_variational = TRUE, reconstruction_loss = "nb",
                  use_batch_norm = TRUE, bias = FALSE, latent_distribution = "normal", library = "latent",
                  encode_covariates = FALSE, dispersion_start = "normal", library_start = "random",
                  normalisation = "batch", seed = NULL) {
    size <- model_size(n_input, if (!missing(n_batch)) n_batch, if (!missing(n_labels)) n_labels)
    n_layers_encoder <- check_count(n_layers_encoder, "n_layers_encoder", lower = 1L)
    options <- c(
        network_options(size, n_hidden, n_latent, n_layers_encoder, dropout_rate, dispersion, log_variational,
            reconstruction_loss, latent_distribution, library, encode_covariates, dispersion_start,
            library_start, normalisation),
        list(use_batch_norm = check_flag(use_batch_norm, "use_batch_norm"), bias = check_flag(bias, "bias"))
    )
    if (options$dispersion == "gene-cell") {
        abort_rscvi(c("{.arg dispersion} must be {.val gene}, {.val gene-batch} or {.val gene-label} for {.fn LDVAE},
            not {.val gene-cell}.", i = "A dispersion for each cell is an output of the decoder of {.fn VAE}."))
    }
    new_model("LDVAE", options, size$names, resolve_seed(seed), size$dataset)
}

#' @rdname LDVAE
#' @param model an `LDVAE`.
#' @export
get_loadings <- function(model) {
    check_class(model, "model", "LDVAE")
    weights <- model@state$weights
    part <- function(name) weights[[paste0("decoder.factor_regressor.fc_layers.Layer 0.", name)]]
    loadings <- part("0.weight")[, seq_len(model@options$n_latent), drop = FALSE]
    if (model@options$use_batch_norm) {
        variance_floor <- 0.001  # of the batch normalisation
        loadings <- loadings * (part("1.weight") / sqrt(part("1.running_var") + variance_floor))
    }
    dimnames(loadings) <- list(model@genes, paste0("Z_", seq_len(ncol(loadings))))
    as.data.frame(loadings)
}
