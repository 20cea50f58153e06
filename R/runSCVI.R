# The one call, from a SingleCellExperiment to its latent space.

#' Run scVI on a SingleCellExperiment
#'
#' Trains a [VAE()] on the counts and writes its latent space, the mean of \eqn{q(z|x)} of every cell, to a reduced
#' dimension, where scater, scran, bluster and their like find it. [posterior()] gives the fitted model back as a
#' [Posterior()], to ask it anything else.
#'
#' @param x a `SingleCellExperiment`, or a `SummarizedExperiment`, which becomes one.
#' @param batch,labels name of a column of `colData(x)`, or a vector or factor with one element a cell.
#' @param assay.type name of the assay with the raw counts.
#' @param n_latent dimension of the latent space.
#' @param n_epochs number of epochs; `NULL`: as the set of `defaults` has it.
#' @param name name of the reduced dimension.
#' @param subset_row `NULL` (all genes), or the genes to use: names, indices or a mask. A few thousand highly variable
#'   ones are a usual choice, see [highly_variable_genes()].
#' @param covariates names of columns of `colData(x)` that the model is conditioned on beside the batch, or a data.frame
#'   with one row a cell; see [GeneExpressionDataset()].
#' @param seed integer that decides everything random: weights, split and training; `NULL` draws one from R's generator.
#' @param defaults `"recommended"`, settings that are good on real data, or `"scvi-0.6.8"`, its own; see
#'   [recommended_defaults].
#' @param verbose show progress, and at the end in one line what [diagnose()] thinks of the fit; `NULL`: in interactive
#'   sessions, but not while knitting.
#' @param ... further arguments of [VAE()], [UnsupervisedTrainer()] and [train()], such as
#'   `reconstruction_loss = "zinb"`, `train_size = 0.8` or `lr = 2e-3`; for the generic, those of the methods.
#' @return `x`, a `SingleCellExperiment`, with `reducedDim(x, name)`: a matrix of cells x n_latent.
#' @section Errors: those of [GeneExpressionDataset()], [VAE()], [UnsupervisedTrainer()] and [train()].
#' @section Defaults: the set that is [recommended_defaults].
#' @examples
#' sce <- example_pbmc()
#' sce <- runSCVI(sce, batch = "batch", n_epochs = 2, n_hidden = 16, seed = 1)
#' head(SingleCellExperiment::reducedDim(sce, "SCVI"), 3)
#' reconstruction_error(posterior(sce, set = "test_set"))
#' @name runSCVI
NULL

#' @rdname runSCVI
#' @export
setMethod("runSCVI", "ANY", function(x, batch = NULL, labels = NULL, assay.type = "counts", n_latent = 10,
                                     n_epochs = NULL, name = "SCVI", subset_row = NULL, seed = NULL, verbose = NULL,
                                     covariates = NULL, ..., defaults = "recommended") {
    x <- as_single_cell(x)
    check_string(name, "name")
    defaults <- check_choice(defaults[1L], "defaults", default_sets)
    arguments <- sort_arguments(list(...), "runSCVI", c(model = "VAE", trainer = "UnsupervisedTrainer"))
    seed <- resolve_seed(seed)
    given <- prepare_dataset(x, batch, labels, assay.type, subset_row, covariates)
    dataset <- given$dataset
    n_epochs <- epochs_of_run(n_epochs, defaults, nb_cells(dataset), arguments$trainer)
    arguments <- with_defaults(arguments, defaults, dataset, n_epochs)
    vae <- do.call(VAE, c(list(dataset, n_latent = n_latent, seed = seed), arguments$model))
    trainer <- do.call(UnsupervisedTrainer, c(list(vae, dataset, seed = seed), arguments$trainer))
    do.call(train, c(list(trainer, n_epochs = n_epochs, seed = seed, verbose = verbose), arguments$train))
    x <- store_fit(x, name, trainer, assay.type, given$rows, seed)
    if (resolve_verbose(verbose)) report_fit(trainer, seed)
    x
})

# What can hold a reduced dimension, or can be made into such a thing. See is_summarized() on why there is no method for
# the class itself.
as_single_cell <- function(x, arg = "x") {
    if (is_summarized(x, "SingleCellExperiment")) return(x)
    if (is_summarized(x)) {
        requireNamespace("SingleCellExperiment")
        return(methods::as(x, "SingleCellExperiment"))
    }
    abort_rscvi(c(
        "{.arg {arg}} must be a {.cls SingleCellExperiment}, not {describe_value(x)}.",
        i = if (inherits(x, "Seurat")) "For a Seurat object: {.fn GeneExpressionDataset}, {.fn VAE} and {.fn train}."
        else "For a matrix: {.code SingleCellExperiment(list(counts = x))}, or
            {.fn GeneExpressionDataset} and {.fn VAE}."
    ))
}

# The genes asked for, of all cells: the result has a row for each cell of x, so that none can be left out.
prepare_dataset <- function(x, batch, labels, assay.type, subset_row, covariates) {
    dataset <- GeneExpressionDataset(x, batch = batch, labels = labels, assay.type = assay.type,
        covariates = covariates)
    if (is.null(subset_row)) return(list(dataset = dataset, rows = seq_len(nrow(x))))
    rows <- check_indices(subset_row, "subset_row", nrow(x), rownames(x), allow_duplicates = FALSE)
    list(dataset = update_genes(dataset, rows, empty_cells = "error"), rows = rows)
}

# Which of the further arguments of runSCVI() or runSCANVI(), `caller`, go to which of the functions named in `homes`,
# and which to train().
sort_arguments <- function(given, caller, homes, taken = c("model", "gene_dataset", "n_input", "n_labels", "n_latent",
                               "n_epochs", "seed", "verbose", "trainer"), of_train = c("lr", "eps")) {
    if (length(given) && (is.null(names(given)) || any(!nzchar(names(given))))) {
        abort_rscvi("Further arguments of {.fn {caller}} must have names.")
    }
    homes_of <- unname(homes)
    arguments_of <- function(f) names(formals(get(f, mode = "function")))
    homes <- lapply(c(lapply(homes, arguments_of), list(train = of_train)), setdiff, taken)
    unknown <- setdiff(names(given), unlist(homes))
    if (length(unknown)) {
        abort_rscvi(c("Unknown argument{?s}: {.arg {unknown}}.",
            i = "{.fn {caller}} takes those of {.fn {c(homes_of, 'train')}}."))
    }
    lapply(homes, function(home) given[names(given) %in% home])
}

# What is kept of a fit. The model goes to the object's metadata; what belongs to a cell goes to its internal column
# data, so that it follows when the object is subset. The counts are not kept twice: posterior() reads them where they
# are.
store_fit <- function(x, name, trainer, assay.type, rows, seed) {
    dataset <- trainer@gene_dataset
    set <- rep(NA_character_, ncol(x))
    for (s in names(trainer@sets)) set[trainer@sets[[s]]] <- s
    z <- latent_matrix(create_posterior(trainer), seed = seed)
    rownames(z) <- colnames(x)
    SingleCellExperiment::reducedDim(x, name) <- z
    columns <- SingleCellExperiment::int_colData(x)
    columns[[fit_key(name)]] <- S4Vectors::DataFrame(
        batch = batch_indices(dataset), labels = labels(dataset), local_means = local_means(dataset),
        local_vars = local_vars(dataset), set = factor(set, levels = names(trainer@sets)),
        fit = rep(fingerprint(trainer@model), ncol(x))
    )
    for (covariate in names(dataset@covariates)) {
        columns[[fit_key(name)]][[covariate_key(covariate)]] <- dataset@covariates[[covariate]]
    }
    SingleCellExperiment::int_colData(x) <- columns
    metadata <- SingleCellExperiment::int_metadata(x)
    metadata[[fit_key(name)]] <- list(
        model = trainer@model, fit = fingerprint(trainer@model), assay.type = assay.type, genes = gene_names(dataset),
        rows = rows, row_names = rownames(x)[rows], n_rows = nrow(x), options = trainer@options,
        history = history(trainer), n_iter = trainer@state$n_iter
    )
    SingleCellExperiment::int_metadata(x) <- metadata
    x
}

fit_key <- function(name) paste0("rscvi_", name)
covariate_key <- function(name) paste0("covariate_", name)

# A number that two different fits do not share: it tells cells of another fit, which cbind() can bring in, from its
# own.
fingerprint <- function(model) fingerprint_cpp(model@state$weights)

#' The fitted posterior of a SingleCellExperiment
#'
#' @param object a `SingleCellExperiment` that [runSCVI()] or [runSCANVI()] returned. It may have been subset by cells
#'   since.
#' @param name the name that was given to [runSCVI()] or [runSCANVI()]. `NULL`: `"SCVI"`, or if there is no fit of that
#'   name, the only one that there is.
#' @param set which cells: `"all"`, or those of one set of the split.
#' @return A [Posterior()] of the fitted model and the cells of `object`, with the batches, labels and library prior of
#'   training.
#' @section Errors: `rscvi_no_fit` if there is no fit of that name, `rscvi_model_mismatch` if genes of it are gone or
#'   some cells belong to another fit (`cbind()` brings them together), `rscvi_empty_posterior` if there is no cell.
#' @examples
#' sce <- runSCVI(example_pbmc(), batch = "batch", n_epochs = 1, n_hidden = 16, seed = 1)
#' posterior(sce)
#' posterior(sce[, sce$cell_type == "B cells"], set = "test_set")
#' @name posterior
#' @rdname fitted-posterior
NULL

#' @rdname fitted-posterior
#' @export
setMethod("posterior", "ANY", function(object, name = NULL,
                                       set = c("all", "train_set", "test_set", "validation_set")) {
    object <- as_single_cell(object, "object")
    set <- check_choice(set[1L], "set", c("all", "train_set", "test_set", "validation_set"))
    name <- resolve_fit_name(object, name)
    fit <- stored_fit(object, name)
    columns <- SingleCellExperiment::int_colData(object)[[fit_key(name)]]
    strangers <- sum(columns$fit != fit$fit)
    if (strangers > 0L) {
        abort_rscvi(c("{strangers} of the {ncol(object)} cells of {.arg object} belong to another fit of this name.",
            i = "Take the posterior before combining objects, or run {.fn runSCVI} on all cells together."),
            class = "model_mismatch")
    }
    dataset <- refit_dataset(object, fit, columns)
    Posterior(fit$model, dataset, indices = if (set == "all") NULL else which(columns$set == set),
        use_cuda = fit$options$use_cuda, data_loader_kwargs = list(batch_size = fit$options$batch_size))
})

names_of_fits <- function(object) {
    keys <- names(SingleCellExperiment::int_metadata(object))
    sub("^rscvi_", "", keys[startsWith(keys, "rscvi_")])
}

# Where no name is given, that of runSCVI()'s fit, or of the only one.
resolve_fit_name <- function(object, name) {
    if (!is.null(name)) return(check_string(name, "name"))
    there <- names_of_fits(object)
    if (length(there) == 1L) there else "SCVI"
}

# What store_fit() kept under this name.
stored_fit <- function(object, name, arg = "object") {
    fit <- SingleCellExperiment::int_metadata(object)[[fit_key(name)]]
    if (is.null(fit)) {
        there <- names_of_fits(object)
        abort_rscvi(c("{.arg {arg}} holds no fit of the {.arg name} {.val {name}}.",
            i = if (length(there)) "It has {.val {there}}." else "Make one with {.fn runSCVI}."), class = "no_fit")
    }
    fit
}

# The data set of training, for the cells that are there now: same genes in the same order, same levels, same prior.
refit_dataset <- function(object, fit, columns) {
    rows <- fit$rows
    # Rows that moved are found by name, if they have any.
    if (!identical(rownames(object)[rows], fit$row_names)) rows <- match(fit$row_names, rownames(object))
    missing <- sum(is.na(rows))
    if (missing > 0L || length(rows) != length(fit$genes)) {
        abort_rscvi(c("{.arg object} lacks {missing} of the {length(fit$genes)} genes that the model was trained on.",
            i = "Ask for the posterior before subsetting genes."), class = "model_mismatch")
    }
    if (is.null(fit$row_names) && nrow(object) != fit$n_rows) {
        abort_rscvi(c("{.arg object} had {fit$n_rows} genes when the model was trained and has {nrow(object)} now:
            without row names it is not known which are which.",
            i = "Ask for the posterior before subsetting genes, or give {.arg x} row names before training."),
        class = "model_mismatch")
    }
    if (ncol(object) == 0L) abort_rscvi("{.arg object} has no cells.", class = "empty_posterior")
    counts <- as_count_matrix(SummarizedExperiment::assay(object, fit$assay.type, withDimnames = FALSE))
    if (!identical(rows, seq_len(nrow(counts)))) counts <- counts[rows, , drop = FALSE]
    names <- if (is.null(colnames(object))) paste0("cell", seq_len(ncol(object))) else make.unique(colnames(object))
    counts@Dimnames <- list(fit$genes, names)
    covariates <- S4Vectors::make_zero_col_DFrame(ncol(counts))
    for (name in names(fit$model@options$covariates)) covariates[[name]] <- columns[[covariate_key(name)]]
    methods::new("GeneExpressionDataset",
        counts = counts, corrupted = NULL, batch = columns$batch, labels = columns$labels,
        local_means = columns$local_means, local_vars = columns$local_vars, proteins = NULL,
        covariates = covariates,
        cell_data = as_cell_data(SummarizedExperiment::colData(object), names),
        version = as.character(utils::packageVersion("rscvi")), cache = new.env(parent = emptyenv())
    )
}
