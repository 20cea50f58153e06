# Training a classifier alone.

#' Train a classifier on the labels of cells
#'
#' Minimises the cross-entropy, the mean of \eqn{-\ln q(y|x)} over the cells of the training set that have a label;
#' **cells without one (`NA`) never enter the loss**. What the classifier sees of a cell:
#'
#' * without a `sampling_model`, its raw counts;
#' * with a [VAE()] or [LDVAE()] as `sampling_model`, the mean of \eqn{q(z|x)}; with `sampling_zl = TRUE` the mean of
#'   \eqn{q(l|x)} besides. The sampling model, in evaluation mode, is never changed.
#'
#' A [SCANVI()] or [VAEC()], given as `model` or as `sampling_model`, has a classifier of its own: that one is trained
#' (with SCANVI's of groups), and all other weights stay the same to the last bit.
#'
#' @inheritParams UnsupervisedTrainer
#' @param model a [Classifier()] of as many features as it will see, and of the data set's labels; or a [SCANVI()] or
#'   [VAEC()]. May be left out if `sampling_model` is one of these.
#' @param seed integer that decides the split, and only that.
#' @param sampling_model,sampling_zl see above.
#' @param double_softmax `TRUE` takes the softmax of the classifier's probabilities, as scvi 0.6.8 does unless the
#'   classifier was built with `logits = TRUE`.
#' @param metrics_to_monitor there is but `"accuracy"`, which is always recorded.
#' @param early_stopping_kwargs list, see [UnsupervisedTrainer()]; the metrics are `"accuracy"`, which is to become
#'   large, and `threshold` is 0.001 by default.
#' @return A [ClassifierTrainer-class] object, with [train_set()], [test_set()] and [validation_set()], whose
#'   [accuracy()] and [compute_predictions()] can be asked for: each a [ClassifierPosterior()], or, for a model with a
#'   classifier of its own, a [Posterior()] of that model. [history()] has the `loss` in nats, and accuracies.
#' @section Errors: `rscvi_model_mismatch` if the classifier was built for another number of features or other labels;
#'   `rscvi_no_classifier` for a model that has none; `rscvi_single_group` if the labelled cells of the training set
#'   have less than two labels; `rscvi_invalid_argument`, naming the argument, for the rest.
#' @section Differences from scvi 0.6.8: the loss is that of the probabilities (`double_softmax`). A model with a
#'   classifier of its own is itself what is trained, where there its part `model$classifier` is. `threshold` of early
#'   stopping suits accuracies; the 3 there is never reached, so that training always stops.
#' @references scvi 0.6.8, `inference/annotation.py`, class `ClassifierTrainer`.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' trainer <- ClassifierTrainer(Classifier(dataset, n_hidden = 32, seed = 1), dataset, frequency = 1)
#' train(trainer, n_epochs = 5, lr = 1e-2, seed = 1)
#' history(trainer)
#' accuracy(test_set(trainer))
#'
#' # of the latent space of a model of counts
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' on_z <- Classifier(5, n_labels = n_labels(dataset), n_hidden = 32, seed = 1)
#' trainer <- ClassifierTrainer(on_z, dataset, sampling_model = vae)
#' train(trainer, n_epochs = 2, lr = 1e-2, seed = 1)
#' head(compute_predictions(test_set(trainer)), 3)
#' @export
ClassifierTrainer <- function(model = NULL, gene_dataset, train_size = 0.9, test_size = NULL, seed = 0,
                              sampling_model = NULL, sampling_zl = FALSE, double_softmax = FALSE, train_indices = NULL,
                              test_indices = NULL, use_cuda = NULL, metrics_to_monitor = NULL, frequency = NULL,
                              weight_decay = 1e-6, early_stopping_kwargs = NULL, data_loader_kwargs = NULL,
                              batch_size = 128, max_nans = 10, show_progbar = NULL) {
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    if (has_classifier(sampling_model)) {
        model <- own_classifier(model, sampling_model)
        sampling_model <- NULL
    }
    gene_dataset <- align_to_sampling(gene_dataset, if (is.null(sampling_model)) model else sampling_model)
    check_what_to_train(model, gene_dataset, sampling_model, sampling_zl)
    sets <- split_cells(gene_dataset, train_size, test_size, train_indices, test_indices, seed)
    check_labels_to_learn(gene_dataset, sets$train_set)
    options <- trainer_options(names(sets), on = "test_set", n_iter_kl_warmup = NULL, n_epochs_kl_warmup = NULL,
        use_cuda, metrics_to_monitor, frequency, weight_decay, early_stopping_kwargs, data_loader_kwargs, batch_size,
        max_nans, show_progbar, metrics = "accuracy", threshold = 0.001)
    options$classifier <- list(sampling_zl = sampling_zl, double_softmax = check_flag(double_softmax, "double_softmax"))
    trainer <- new_trainer("ClassifierTrainer", model, gene_dataset, options, sets)
    trainer@sampling_model <- sampling_model
    trainer
}

# scvi 0.6.8 takes the classifier out of the model, and the model as its sampling model.
own_classifier <- function(model, sampling_model) {
    if (is.null(model) || identical(model@state, sampling_model@state)) return(sampling_model)
    abort_rscvi(c("{.arg sampling_model} is a {.cls {class(sampling_model)}}, whose own classifier is trained;
        {.arg model} is {if (is_classifier(model)) 'another classifier' else 'another model'}.",
        i = "Leave out {.arg model}; or give a {.fn VAE} as {.arg sampling_model}."))
}

check_what_to_train <- function(model, dataset, sampling_model, sampling_zl) {
    check_class(model, "model", "SCVIModel")
    if (is_classifier(model)) {
        check_sampling(sampling_model, sampling_zl, dataset)
        return(check_classifier_fits(model, dataset, sampling_model, sampling_zl))
    }
    if (!has_classifier(model)) {
        abort_rscvi(c("{.arg model} is a {.cls {class(model)}}, which predicts no labels.",
            i = "Give it as {.arg sampling_model}, and as {.arg model}
                 {.code Classifier({model@options$n_latent}, n_labels = {n_labels(dataset)})}."),
            class = "no_classifier")
    }
    if (!is.null(sampling_model) || !isFALSE(check_flag(sampling_zl, "sampling_zl"))) {
        arg <- if (is.null(sampling_model)) "sampling_zl" else "sampling_model"
        abort_rscvi(c("{.arg {arg}} is given, but {.arg model} is a {.cls {class(model)}}, whose classifier works on
            what that model has.", i = "Leave out {.arg {arg}}, or give a {.fn Classifier} as {.arg model}."))
    }
    check_model_fits(model, dataset)
}

labelled_among <- function(dataset, cells) cells[!is.na(labels(dataset)[cells])]

check_labels_to_learn <- function(dataset, cells) {
    known <- labelled_among(dataset, cells)
    least <- 3L  # of a minibatch
    if (length(known) < least) {
        abort_rscvi(c("{length(known)} of the {length(cells)} cells of the training set {?has/have} a label: at least
            {least} are needed.", i = "Raise {.arg train_size}, or choose cells with {.arg train_indices}."))
    }
    there <- unique(as.character(labels(dataset)[known]))
    if (length(there) < 2L) {
        abort_rscvi(c("All {length(known)} labelled cells of the training set have the label {.val {there}}: there is
            nothing to tell apart.", i = "Raise {.arg train_size}, or choose cells with {.arg train_indices}."),
            class = "single_group")
    }
}

# As the glue takes them.
classifier_options <- function(trainer) {
    options <- trainer@options$classifier
    if (isTRUE(trainer@model@options$logits)) options$double_softmax <- FALSE
    c(options, list(sampling_model = if (!is.null(trainer@sampling_model)) model_handle(trainer@sampling_model)))
}
