# What a classifier says of some cells of a data set.

#' A classifier, a data set and some of its cells
#'
#' A [Posterior()] whose model is a [Classifier()]: it can be asked for [compute_predictions()], [accuracy()] and
#' [unsupervised_classification_accuracy()]. What needs a latent space or a likelihood is an error, which says so.
#' [ClassifierTrainer()]s make them: [train_set()], [test_set()].
#'
#' @inheritParams Posterior
#' @param model a [Classifier()].
#' @param sampling_model `NULL`: the classifier sees the raw counts. Or a [VAE()] or [LDVAE()] of the data set's genes:
#'   it sees the mean of \eqn{q(z|x)} (before any softmax).
#' @param sampling_zl `TRUE`: it sees the mean of \eqn{q(l|x)}, the log library size, as well, as a last feature.
#' @return A `ClassifierPosterior`, see [Posterior-class]. It can be saved with [saveRDS()], but not with
#'   [save_posterior()].
#' @section Errors: `rscvi_model_mismatch` if the classifier was built for another number of features or labels;
#'   `rscvi_no_model_of_counts` from methods that a classifier cannot answer; `rscvi_invalid_argument`, naming the
#'   argument, for the rest.
#' @section Differences from scvi 0.6.8: there the sampling model is an attribute that a trainer sets on its posteriors
#'   once they are made, and one made by hand does without, silently.
#' @references scvi 0.6.8, `inference/annotation.py`, class `AnnotationPosterior`.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' classifier <- Classifier(6, n_labels = n_labels(dataset), n_hidden = 16, seed = 1)
#' post <- ClassifierPosterior(classifier, dataset, sampling_model = vae, sampling_zl = TRUE, indices = 1:5)
#' compute_predictions(post)
#' @export
ClassifierPosterior <- function(model, gene_dataset, sampling_model = NULL, sampling_zl = FALSE, shuffle = FALSE,
                                indices = NULL, use_cuda = NULL, data_loader_kwargs = list()) {
    check_class(model, "model", "Classifier")
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    gene_dataset <- align_to_sampling(gene_dataset, sampling_model)
    check_sampling(sampling_model, sampling_zl, gene_dataset)
    check_classifier_fits(model, gene_dataset, sampling_model, sampling_zl)
    new_posterior("ClassifierPosterior", model, gene_dataset, shuffle, indices, use_cuda, data_loader_kwargs,
        sampling_model = sampling_model, sampling_zl = sampling_zl)
}

align_to_sampling <- function(dataset, sampling_model) {
    if (methods::is(sampling_model, "SCVIModel")) align_to_model(dataset, sampling_model) else dataset
}

# A model that says where cells are, or NULL.
check_sampling <- function(sampling_model, sampling_zl, dataset) {
    check_flag(sampling_zl, "sampling_zl")
    if (is.null(sampling_model)) {
        if (sampling_zl) {
            abort_rscvi(c("{.arg sampling_zl} is TRUE, but there is no {.arg sampling_model}, whose z and l that is.",
                i = "Give a trained {.fn VAE}."))
        }
        return(invisible())
    }
    check_class(sampling_model, "sampling_model", "SCVIModel")
    if (is_classifier(sampling_model) || has_classifier(sampling_model)) {
        abort_rscvi(c("{.arg sampling_model} must be a {.cls VAE} or {.cls LDVAE}, not
            {describe_value(sampling_model)}.",
            if (has_classifier(sampling_model)) c(i = "It has a classifier of its own, which works on its own: leave out
                the {.cls Classifier}.")))
    }
    check_model_fits(sampling_model, dataset)
}

# Probabilities, cells x labels.
classifier_probabilities <- function(post) {
    sampling_model <- if (is.null(post@sampling_model)) NULL else model_handle(post@sampling_model)
    core(classifier_label_probabilities_cpp(posterior_parts(post), sampling_model, post@sampling_zl))
}

sees <- function(sampling_model, sampling_zl) {
    if (is.null(sampling_model)) return("raw counts")
    sprintf("the mean of %s of a %s", if (sampling_zl) "z and l" else "z", class(sampling_model)[1L])
}

setMethod("show", "ClassifierPosterior", function(object) {
    cat(sprintf("%s: %d of %d cells, %d labels\n", class(object), nb_cells(object), nb_cells(object@gene_dataset),
        object@model@options$n_labels))
    cat(sprintf("  the classifier sees %s\n", sees(object@sampling_model, object@sampling_zl)))
    cat("  ask it: compute_predictions(), accuracy(), unsupervised_classification_accuracy()\n")
    invisible(object)
})
