# Training on cells of which some have labels.

#' Train a model on cells of which some have labels
#'
#' For [SCANVI()] and [VAEC()]. The labelled set are cells whose label is used; **no label of any other cell reaches a
#' loss**. Each step of training takes a minibatch of all cells.
#'
#' * `SemiSupervisedTrainer()` and `JointSemiSupervisedTrainer()`: the loss of the minibatch without a look at labels,
#'   plus `classification_ratio` times the classifier's loss, the mean of \eqn{-\ln q(y|x)}, on a minibatch of the
#'   labelled set. The first also fits the classifier alone to the labelled set after each epoch.
#' * `AlternateSemiSupervisedTrainer()`: labelled cells' loss with, all others' without their label; then the classifier
#'   alone after each epoch.
#'
#' # The labelled set
#' Where some cells have no label (`NA`), all cells that have one, unless `n_labelled_samples_per_class` says how many
#' of each label. Where all have one, so many of each label, chosen at random by `seed`; all of a label that has fewer.
#'
#' @inheritParams UnsupervisedTrainer
#' @param model a [SCANVI()] or [VAEC()].
#' @param n_labelled_samples_per_class number of labelled cells of each label; `Inf`: all.
#' @param n_epochs_classifier epochs over the labelled set of fitting the classifier alone, after each epoch.
#' @param lr_classification learning rate of that.
#' @param classification_ratio weight of the classifier's loss.
#' @param seed integer that decides the labelled set, and only that.
#' @param double_softmax `TRUE` takes the softmax of the classifier's probabilities, as scvi 0.6.8 does.
#' @param early_stopping_kwargs list, see [UnsupervisedTrainer()]; metrics may also be `"accuracy"`, which is to become
#'   large, with a `threshold` to match (0 .. 1), and `on` is `"full_dataset"` by default.
#' @return A [SemiSupervisedTrainer-class] object, with [full_dataset()], [labelled_set()] and [unlabelled_set()].
#' @section Errors: `rscvi_no_classifier` for other models; `rscvi_model_mismatch` if the model was built for other
#'   genes, batches or labels; `rscvi_invalid_argument`, naming the argument, for the rest.
#' @section Differences from scvi 0.6.8: the classifier's loss is that of its probabilities (`double_softmax`); a label
#'   with few cells is not topped up with cells of other labels; the alternate trainer does not see the labels of cells
#'   outside the labelled set; labelled minibatches come in a new order each time the set is through.
#' @references Xu et al. (2021) *Molecular Systems Biology* 17:e9620. scvi 0.6.8, `inference/annotation.py`.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' scanvi <- SCANVI(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' trainer <- SemiSupervisedTrainer(scanvi, dataset, n_labelled_samples_per_class = 20)
#' train(trainer, n_epochs = 2, seed = 1)
#' accuracy(unlabelled_set(trainer))
#' @export
SemiSupervisedTrainer <- function(model, gene_dataset,
                                  n_labelled_samples_per_class = if (anyNA(labels(gene_dataset))) Inf else 50,
                                  n_epochs_classifier = 1, lr_classification = 5e-3, classification_ratio = 50,
                                  seed = 0, double_softmax = FALSE, n_iter_kl_warmup = NULL, n_epochs_kl_warmup = 400,
                                  use_cuda = NULL, metrics_to_monitor = NULL, frequency = NULL, weight_decay = 1e-6,
                                  early_stopping_kwargs = NULL, data_loader_kwargs = NULL, batch_size = 128,
                                  max_nans = 10, show_progbar = NULL, max_kl_weight = 1, lr_schedule = "constant",
                                  lr_dispersion = NULL, n_iter_fixed_dispersion = 0, precision = "single") {
    check_model_of_counts(model)
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    if (!has_classifier(model)) {
        abort_rscvi(c("{.arg model} is a {.cls {class(model)}}, which has no classifier.",
            i = "Semi-supervised training takes a {.fn SCANVI} or a {.fn VAEC}."), class = "no_classifier")
    }
    gene_dataset <- align_to_model(gene_dataset, model)
    check_model_fits(model, gene_dataset)
    sets <- split_labelled(gene_dataset, n_labelled_samples_per_class, seed)
    options <- trainer_options(names(sets), on = "full_dataset", n_iter_kl_warmup, n_epochs_kl_warmup, use_cuda,
        metrics_to_monitor, frequency, weight_decay, early_stopping_kwargs, data_loader_kwargs, batch_size, max_nans,
        show_progbar, metrics = monitorable_metrics(TRUE), max_kl_weight = max_kl_weight, lr_schedule = lr_schedule,
        lr_dispersion = lr_dispersion, n_iter_fixed_dispersion = n_iter_fixed_dispersion, precision = precision)
    check_dispersion_learns(options, model)
    options$semi_supervised <- list(
        joint = TRUE, double_softmax = check_flag(double_softmax, "double_softmax"),
        n_epochs_classifier = check_count(n_epochs_classifier, "n_epochs_classifier", lower = 0L),
        lr_classification = check_number(lr_classification, "lr_classification", lower = 0, lower_open = TRUE,
            upper_open = TRUE),
        classification_ratio = check_number(classification_ratio, "classification_ratio", lower = 0)
    )
    new_trainer("SemiSupervisedTrainer", model, gene_dataset, options, sets)
}

#' @rdname SemiSupervisedTrainer
#' @param ... arguments of `SemiSupervisedTrainer()`.
#' @export
JointSemiSupervisedTrainer <- function(model, gene_dataset, ...) {
    trainer <- SemiSupervisedTrainer(model, gene_dataset, ..., n_epochs_classifier = 0)
    methods::as(trainer, "JointSemiSupervisedTrainer")
}

#' @rdname SemiSupervisedTrainer
#' @export
AlternateSemiSupervisedTrainer <- function(model, gene_dataset, ...) {
    trainer <- methods::as(SemiSupervisedTrainer(model, gene_dataset, ...), "AlternateSemiSupervisedTrainer")
    trainer@options$semi_supervised$joint <- FALSE
    trainer
}

split_labelled <- function(dataset, n_per_label, seed) {
    if (!identical(n_per_label, Inf)) {
        n_per_label <- check_count(n_per_label, "n_labelled_samples_per_class", lower = 1L)
    }
    y <- labels(dataset)
    # Split by a random order of all cells, so that which are chosen of a label does not depend on the other labels.
    order <- with_r_seed(seed, sample.int(nb_cells(dataset)))
    cells <- split(order, y[order])
    chosen <- sort(unlist(lapply(cells, utils::head, n = n_per_label), use.names = FALSE))
    least <- 3L  # of a minibatch
    if (length(chosen) < least) {
        abort_rscvi("{length(chosen)} labelled cell{?s} {?is/are} too few: at least {least} are needed.")
    }
    sets <- list(full_dataset = seq_len(nb_cells(dataset)), labelled_set = chosen)
    sets$unlabelled_set <- setdiff(sets$full_dataset, chosen)
    sets
}

# As the glue takes them; NULL for other trainers.
semi_supervised_options <- function(trainer) {
    options <- trainer@options$semi_supervised
    if (is.null(options)) return(NULL)
    c(options, list(labelled_cells = trainer@sets$labelled_set))
}
