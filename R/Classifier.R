# A classifier as a model of its own.

#' A classifier of cells
#'
#' A neural network from features of a cell to the probabilities of its labels: hidden layers with batch normalisation,
#' ReLU and dropout, then a softmax (scvi 0.6.8, `models/classifier.py`). The features are what [ClassifierTrainer()]
#' gives it: the raw counts, or where a model of counts places the cell.
#'
#' Like every model it has weights ([state_dict()], [load_state_dict()]), can be copied ([clone()]), saved and loaded
#' ([save_model()], [load_model()]). It has no latent space and no likelihood; [classify()] asks it about features of
#' your own, [compute_predictions()] about the cells of a [ClassifierPosterior()].
#'
#' @param n_input number of features; or a [GeneExpressionDataset()], for a classifier of its counts: `n_input` and
#'   `n_labels` are then taken from there. For a classifier of the latent space of a model with `n_latent` dimensions
#'   `n_latent`, and one more with `sampling_zl`, see [ClassifierTrainer()].
#' @param n_hidden number of units of each hidden layer.
#' @param n_labels number of labels, at least 2.
#' @param n_layers number of hidden layers; 0: a linear classifier.
#' @param dropout_rate dropout while training, in `[0, 1)`.
#' @param logits `TRUE`: [classify()] gives what the probabilities are the softmax of. Training and predictions of
#'   posteriors are the same.
#' @param seed integer that decides the initial weights; `NULL` draws one from R's generator.
#' @return An object of class `Classifier` (see [SCVIModel-class]) with random initial weights, on the CPU.
#' @section Errors: `rscvi_invalid_argument`, naming the argument, for values that are out of range.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), labels = "cell_type")
#' Classifier(dataset, n_hidden = 16, seed = 1)
#' on_z <- Classifier(10, n_labels = n_labels(dataset), seed = 1)
#' rowSums(classify(on_z, matrix(rnorm(3 * 10), nrow = 3)))
#' @export
Classifier <- function(n_input, n_hidden = 128, n_labels = 5, n_layers = 1, dropout_rate = 0.1, logits = FALSE,
                       seed = NULL) {
    labels_of_dataset <- missing(n_labels) && methods::is(n_input, "GeneExpressionDataset")
    if (labels_of_dataset) check_has_labels(n_input)
    size <- model_size(n_input, NULL, if (!labels_of_dataset) n_labels)
    options <- list(
        n_input = check_count(size$n_input, "n_input", lower = 1L),
        n_hidden = check_count(n_hidden, "n_hidden", lower = 1L),
        n_labels = check_count(size$n_labels, "n_labels", lower = 2L),
        n_layers = check_count(n_layers, "n_layers", lower = 0L),
        dropout_rate = check_number(dropout_rate, "dropout_rate", lower = 0, upper = 1, upper_open = TRUE),
        logits = check_flag(logits, "logits")
    )
    # A classifier knows of no batches; and of the labels' names only if all of them are its own.
    names <- list(genes = size$names$genes, batch_levels = NULL,
        label_levels = if (length(size$names$label_levels) == options$n_labels) size$names$label_levels)
    new_model("Classifier", options, names, resolve_seed(seed))
}

is_classifier <- function(model) methods::is(model, "Classifier")

check_has_labels <- function(dataset, arg = "n_input") {
    k <- n_labels(dataset)
    if (k >= 2L) return(invisible(dataset))
    abort_rscvi(c("The data set {.arg {arg}} has {k} label ({.val {cell_types(dataset)}}): there is nothing to tell
        apart.", i = "Give {.fn GeneExpressionDataset} the {.arg labels} of the cells."))
}

# What needs a latent space or a likelihood stops here for a classifier. `what`: how the sentence begins.
check_model_of_counts <- function(model, what = "{.arg model}") {
    check_class(model, "model", "SCVIModel")
    if (!is_classifier(model)) return(invisible(model))
    abort_rscvi(c(paste(what, "is a {.cls Classifier}, which has no latent space and no likelihood."),
        i = "This takes a {.fn VAE} or its kin. {.fn ClassifierTrainer} trains a classifier, {.fn classify} and
             {.fn compute_predictions} ask it."), class = "no_model_of_counts")
}

classify_features <- function(model, x) {
    n <- model@options$n_input
    if (methods::is(x, "Matrix") || is.data.frame(x)) x <- as.matrix(x)
    if (!is.numeric(x) || !is.matrix(x)) {
        abort_rscvi("{.arg x} must be a numeric matrix of cells x {n} features, not {describe_value(x)}.")
    }
    if (ncol(x) != n || nrow(x) == 0L) {
        abort_rscvi(c("{.arg x} must be cells x {n} features, as the classifier was built, not {nrow(x)} x {ncol(x)}.",
            if (nrow(x) == n) c(i = "It looks like features x cells: use {.code t(x)}.")))
    }
    if (!all(is.finite(x))) abort_rscvi("{.arg x} has values that are missing or infinite.")
    storage.mode(x) <- "double"
    out <- core(classifier_classify_cpp(model_handle(model), x, model@options$logits))
    dimnames(out) <- list(rownames(x), model@label_levels)
    out
}

# How many features the classifier gets of a cell.
n_features <- function(dataset, sampling_model, sampling_zl) {
    if (is.null(sampling_model)) nb_genes(dataset) else sampling_model@options$n_latent + as.integer(sampling_zl)
}

check_classifier_fits <- function(model, dataset, sampling_model = NULL, sampling_zl = FALSE) {
    o <- model@options
    n <- n_features(dataset, sampling_model, sampling_zl)
    if (o$n_input != n) {
        what <- if (is.null(sampling_model)) "genes of {.arg gene_dataset}" else if (sampling_zl)
            "dimensions of z and l of {.arg sampling_model}" else "dimensions of z of {.arg sampling_model}"
        abort_rscvi(c(
            paste0("{.arg model} was built for {o$n_input} feature{?s}, but there are {n} ", what, "."),
            i = "Build it with {.code Classifier({n}, n_labels = {n_labels(dataset)})}.",
            if (is.null(sampling_model)) c(i = "A classifier of a latent space needs its {.arg sampling_model}.")
        ), class = "model_mismatch")
    }
    if (is.null(sampling_model) && !is.null(model@genes) && !identical(model@genes, gene_names(dataset))) {
        abort_rscvi(c("{.arg model} and {.arg gene_dataset} have different genes, or the same in another order.",
            i = "{.fn reorder_genes} with {.code drop_omitted_genes = TRUE} brings a data set into the model's order."),
            class = "model_mismatch")
    }
    check_levels_fit(o$n_labels, model@label_levels, labels(dataset), "labels", required = TRUE)
    invisible(model)
}

setMethod("show", "Classifier", function(object) {
    o <- object@options
    cat(sprintf("Classifier of %d features, %s\n", o$n_input, paste("labels:", label_summary(object))))
    cat(sprintf("  networks: %d hidden layer%s of %d units, dropout %s; %s weights\n", o$n_layers,
        if (o$n_layers != 1L) "s" else "", o$n_hidden, format(o$dropout_rate),
        format(sum(lengths(object@state$weights)), big.mark = ",")))
    if (o$logits) cat("  classify() gives logits\n")
    invisible(object)
})
