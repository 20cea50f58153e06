# The one call, from partly known labels to labels for all cells.

#' Label the cells of a SingleCellExperiment with SCANVI
#'
#' Trains a [VAE()] on the counts, then a [SCANVI()] that starts from it on counts and known labels, and writes what the
#' model says of every cell: its place in latent space and its label.
#'
#' @inheritParams runSCVI
#' @param batch,labels name of a column of `colData(x)`, or a vector or factor with one element a cell.
#' @param unlabeled the label that stands for "not known"; `NA` always does, too.
#' @param n_epochs,n_epochs_scanvi number of epochs of the VAE, `NULL` as for [runSCVI()], and of the SCANVI; `NULL`
#'   picks what makes about 360 steps, but at least 2 and at most 100.
#' @param ... further arguments of [VAE()], [UnsupervisedTrainer()], [SemiSupervisedTrainer()] and [train()], such as
#'   `reconstruction_loss = "nb"` or `lr = 2e-3`; and `classifier_parameters`, `y_prior`, `labels_groups` and
#'   `use_labels_groups` of [SCANVI()].
#' @return `x`, a `SingleCellExperiment`, with `reducedDim(x, name)`, and in `colData(x)` `scanvi_label`, the most
#'   probable label (a factor), and `scanvi_probability`, how probable it is, of every cell (with another `name`, its
#'   lower case in place of `scanvi`): what classifier and neighbours say together ([transfer_labels()]), which of a
#'   labelled cell can be another label than its own. What the classifier alone says: `predict(posterior(x, "SCANVI"))`.
#' @section Defaults:
#' Those of scvi 0.6.8, without a KL warm-up. The set that [runSCVI()] has ([recommended_defaults]) explains counts
#' better, but tells labels no better: with 20 of each, accuracy is .878 (three fits) instead of .890 (nine) on
#' pbmc4k_labelled and .972 instead of .970 on worm_l2, from one donor to another .910 instead of .924. Of the SCANVI,
#' with either set, besides:
#'
#' * `classification_ratio` is 80 times the share of cells that have a label, so that one cell's label weighs the same
#'   however many there are. The fixed 50 of [SemiSupervisedTrainer()] lets a few labels pull the latent space about:
#'   with 20 labels of each of seven kinds of neurons (worm_l2, 2,701 cells) and else the same settings, the
#'   classifier's accuracy was .943 (mean of three fits; others had .926), where 50 had .884.
#' * `n_labelled_samples_per_class` is `Inf`: every label counts.
#' * `n_epochs_scanvi` makes about 360 steps. Ten epochs of 1,556 cells are 130 steps, too few for the running means of
#'   the classifier's batch normalisation, which move by a hundredth a step.
#'
#' With `classifier_parameters = list(n_layers = 0)` the classifier is linear, and is fitted alone by two epochs at a
#' rate of .05 after each epoch, if nothing else is asked for. **Try it where many labels come from another sample**:
#' cells of donor 107 in [example_pbmc()], told from the 954 labels of donor 101 (100 epochs of the VAE, three seeds),
#' have an accuracy of .932 to .940 with the condition as batch, .929 to .939 without a batch and .907 to .924 with the
#' donor as batch, where the default has .919 to .929, .919 to .930 and .900 to .909, and logistic regression .924.
#' **Not where labels are few**: on worm_l2 a linear classifier alone had .889 and .893 (two fits) where that of the
#' default had .949 and .951.
#'
#' All these numbers are with the defaults (`bench/ANNOTATION.md`); [transfer_labels()] has more of them.
#' @section Errors: those of [GeneExpressionDataset()], [SCANVI()], [SemiSupervisedTrainer()] and [train()].
#' @seealso [posterior()] for the fitted model, [transfer_labels()] for the probabilities of all labels.
#' @references Xu et al. (2021) *Molecular Systems Biology* 17:e9620.
#' @examples
#' sce <- example_pbmc()
#' sce$known <- replace(as.character(sce$cell_type), seq_len(ncol(sce)) %% 5 > 0, NA)
#' sce <- runSCANVI(sce, batch = "batch", labels = "known", n_epochs = 10, n_hidden = 32, seed = 1)
#' table(sce$scanvi_label, sce$cell_type)
#' @name runSCANVI
NULL

#' @rdname runSCANVI
#' @export
setMethod("runSCANVI", "ANY", function(x, batch = NULL, labels, unlabeled = NA, assay.type = "counts", n_latent = 10,
                                       n_epochs = NULL, n_epochs_scanvi = NULL, name = "SCANVI", subset_row = NULL,
                                       seed = NULL, verbose = NULL, covariates = NULL, ...,
                                       defaults = "scvi-0.6.8") {
    x <- as_single_cell(x)
    check_string(name, "name")
    defaults <- check_choice(defaults[1L], "defaults", default_sets)
    further <- list(...)
    for_scanvi <- further[intersect(names(further), scanvi_only)]
    arguments <- sort_arguments(further[!seq_along(further) %in% match(names(for_scanvi), names(further))], "runSCANVI",
        c(model = "VAE", trainer = "UnsupervisedTrainer", labelled = "SemiSupervisedTrainer"))
    seed <- resolve_seed(seed)
    labels <- cell_column(labels, "labels", SummarizedExperiment::colData(x), "colData(x)")
    if (!all(is.na(unlabeled))) labels <- factor(replace(as.character(labels), labels %in% unlabeled, NA))
    given <- prepare_dataset(x, batch, labels, assay.type, subset_row, covariates)
    dataset <- given$dataset
    n_epochs <- epochs_of_run(n_epochs, defaults, nb_cells(dataset), arguments$trainer)
    arguments <- with_defaults(arguments, defaults, dataset, n_epochs)
    if (!is.null(for_scanvi$classifier_parameters)) {
        check_class(for_scanvi$classifier_parameters, "classifier_parameters", "list")
    }
    settings <- utils::modifyList(scanvi_settings(dataset, for_scanvi$classifier_parameters), arguments$labelled,
        keep.null = TRUE)
    if (is.null(n_epochs_scanvi)) {
        loader <- if (is.null(settings$data_loader_kwargs)) list() else settings$data_loader_kwargs
        batch_size <- check_data_loader_kwargs(loader, default = settings$batch_size)$batch_size
        n_epochs_scanvi <- epochs_of_scanvi(nb_cells(dataset), batch_size)
    }

    vae <- do.call(VAE, c(list(dataset, n_labels = 0, n_latent = n_latent, seed = seed), arguments$model))
    # A model that starts where this one ends wants all of its divergence from the prior.
    at_once <- list(n_epochs_kl_warmup = NULL)
    first <- do.call(UnsupervisedTrainer, c(list(vae, dataset, seed = seed), utils::modifyList(at_once,
        arguments$trainer, keep.null = TRUE)))
    do.call(train, c(list(first, n_epochs = n_epochs, seed = seed, verbose = verbose), arguments$train))
    scanvi <- do.call(SCANVI, c(list(dataset, from = vae, seed = seed), for_scanvi))
    trainer <- do.call(SemiSupervisedTrainer, c(list(scanvi, dataset, seed = seed), utils::modifyList(at_once, settings,
        keep.null = TRUE)))
    do.call(train, c(list(trainer, n_epochs = n_epochs_scanvi, seed = seed, verbose = verbose), arguments$train))

    x <- store_fit(x, name, trainer, assay.type, given$rows, seed)
    predictions <- transfer_labels(create_posterior(trainer))
    columns <- SummarizedExperiment::colData(x)
    columns[[paste0(tolower(name), "_label")]] <- predictions$prediction
    columns[[paste0(tolower(name), "_probability")]] <- predictions$probability
    SummarizedExperiment::colData(x) <- columns
    if (resolve_verbose(verbose)) report_fit(trainer, seed)
    x
})

# What a SCANVI that starts from a VAE may be told besides.
scanvi_only <- c("classifier_parameters", "y_prior", "labels_groups", "use_labels_groups")

# The classifier's loss is a mean over labelled cells. If it weighs the same however few these are, a step moves the
# latent space further for the sake of one cell the fewer cells have a label. Here one labelled cell's label weighs
# `weight_of_label` times one cell's negative ELBO.
scanvi_settings <- function(dataset, classifier_parameters) {
    weight_of_label <- 80
    linear <- identical(as.numeric(classifier_parameters$n_layers), 0)
    settings <- list(batch_size = 128, n_labelled_samples_per_class = Inf,
        classification_ratio = weight_of_label * mean(!is.na(labels(dataset))))
    # Without batch normalisation a classifier learns slowly.
    if (linear) c(settings, list(n_epochs_classifier = 2, lr_classification = 5e-2)) else settings
}

# Counted in steps: ten epochs of 1,500 cells are too few for the running means of batch normalisation to arrive.
epochs_of_scanvi <- function(n_cells, batch_size) {
    n_steps <- 360
    max(2, min(100, round(n_steps / (n_cells / batch_size))))
}
