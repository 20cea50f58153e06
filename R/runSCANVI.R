# The one call, from partly known labels to labels for all cells.

#' Label the cells of a SingleCellExperiment with SCANVI
#'
#' Trains a [VAE()] on the counts, then a [SCANVI()] that starts from it on counts and known labels, and writes what the
#' model says of every cell: its place in latent space and its label.
#'
#' @inheritParams runSCVI
#' @param batch,labels name of a column of `colData(x)`, or a vector or factor with one element a cell.
#' @param unlabeled the label that stands for "not known"; `NA` always does, too.
#' @param n_epochs,n_epochs_scanvi number of epochs of the VAE, `NULL` as for [runSCVI()], and of the SCANVI; `NULL` picks
#'   a third of the former, but at least 2 and at most 10.
#' @param ... further arguments of [VAE()], [UnsupervisedTrainer()], [SemiSupervisedTrainer()] and [train()], such as
#'   `reconstruction_loss = "nb"` or `lr = 2e-3`.
#' @return `x`, a `SingleCellExperiment`, with `reducedDim(x, name)`, and in `colData(x)` `scanvi_label`, the most probable
#'   label (a factor), and `scanvi_probability`, how probable it is, of every cell (with another `name`, its lower case in
#'   place of `scanvi`).
#' @section Errors: those of [GeneExpressionDataset()], [SCANVI()], [SemiSupervisedTrainer()] and [train()].
#' @seealso [posterior()] for the fitted model, [compute_predictions()] for the probabilities of all labels.
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
                                       seed = NULL, verbose = NULL, covariates = NULL, ...) {
    x <- as_single_cell(x)
    check_string(name, "name")
    arguments <- sort_arguments(list(...), "runSCANVI", c(model = "VAE",
        trainer = "UnsupervisedTrainer", labelled = "SemiSupervisedTrainer"))
    seed <- resolve_seed(seed)
    labels <- cell_column(labels, "labels", SummarizedExperiment::colData(x), "colData(x)")
    if (!is.na(unlabeled)) labels <- factor(replace(as.character(labels), labels %in% unlabeled, NA))
    given <- prepare_dataset(x, batch, labels, assay.type, subset_row, covariates)
    dataset <- given$dataset
    n_epochs <- resolve_n_epochs(n_epochs, nb_cells(dataset))
    if (is.null(n_epochs_scanvi)) n_epochs_scanvi <- min(10, max(2, round(n_epochs / 3)))

    vae <- do.call(VAE, c(list(dataset, n_labels = 0, n_latent = n_latent, seed = seed), arguments$model))
    # A model that starts where this one ends wants all of its divergence from the prior.
    warmup <- list(n_epochs_kl_warmup = NULL)
    first <- do.call(UnsupervisedTrainer, c(list(vae, dataset, seed = seed), utils::modifyList(warmup,
        arguments$trainer, keep.null = TRUE)))
    do.call(train, c(list(first, n_epochs = n_epochs, seed = seed, verbose = verbose), arguments$train))
    scanvi <- SCANVI(dataset, from = vae, seed = seed)
    trainer <- do.call(SemiSupervisedTrainer, c(list(scanvi, dataset, seed = seed), utils::modifyList(warmup,
        arguments$labelled, keep.null = TRUE)))
    do.call(train, c(list(trainer, n_epochs = n_epochs_scanvi, seed = seed, verbose = verbose), arguments$train))

    x <- store_fit(x, name, trainer, assay.type, given$rows, seed)
    predictions <- compute_predictions(create_posterior(trainer))
    columns <- SummarizedExperiment::colData(x)
    columns[[paste0(tolower(name), "_label")]] <- predictions$prediction
    columns[[paste0(tolower(name), "_probability")]] <- predictions$probability
    SummarizedExperiment::colData(x) <- columns
    x
})
