# A model and a data set that are to work together.

# The data set in the model's codes: with all of the model's batches, labels and covariate levels, by name, whether or
# not the cells at hand have them. What does not fit is left for check_model_fits() to say.
#
# A data set that was made without batches has the one batch "1". It is not taken for the first of numbered ones:
# whoever forgot `batch` is to be told.
align_to_model <- function(dataset, model, batch_is_given = !identical(levels(dataset@batch), "1") ||
                               !all(grepl("^[0-9]+$", model@batch_levels))) {
    if (is_classifier(model)) return(dataset)
    known <- list(batch = if (batch_is_given) model@batch_levels, labels = if (uses_labels(model)) model@label_levels)
    changed <- FALSE
    for (slot in names(known)) {
        x <- methods::slot(dataset, slot)
        if (is.null(known[[slot]]) || identical(levels(x), known[[slot]]) || !all(levels(x) %in% known[[slot]])) next
        methods::slot(dataset, slot) <- factor(as.character(x), levels = known[[slot]])
        changed <- TRUE
    }
    covariates <- model@options$covariates
    if (!is.null(covariates) && !identical(level_names(dataset@covariates), level_names(covariates))) {
        dataset@covariates <- match_covariates(dataset@covariates, covariates)
        changed <- TRUE
    }
    if (changed) dataset@cache <- new.env(parent = emptyenv())
    dataset
}

# Names of covariates, with the levels of those that are categorical: of a data set's, or of a model's description.
level_names <- function(covariates) {
    lapply(as.list(covariates), function(x) if (is.list(x)) x$levels else levels(x))
}

# Same genes, and batches, labels and covariates that the model has columns for.
check_model_fits <- function(model, dataset) {
    if (is_classifier(model)) return(check_classifier_fits(model, dataset))
    o <- model@options
    if (o$n_input != nb_genes(dataset)) {
        abort_rscvi(c(
            "{.arg model} was built for {o$n_input} gene{?s}, but {.arg gene_dataset} has {nb_genes(dataset)}.",
            i = "Build the model from this data set, or choose its genes with {.fn update_genes}."
        ), class = "model_mismatch")
    }
    if (!is.null(model@genes) && !identical(model@genes, gene_names(dataset))) {
        other <- setdiff(model@genes, gene_names(dataset))
        abort_rscvi(c(
            "{.arg model} and {.arg gene_dataset} have different genes, or the same in another order.",
            if (length(other)) c(x = "Not in the data set ({length(other)}): {.val {utils::head(other, 3)}}."),
            i = "{.fn reorder_genes} with {.code drop_omitted_genes = TRUE} brings a data set into the model's order."
        ), class = "model_mismatch")
    }
    check_levels_fit(o$n_batch, model@batch_levels, batch_indices(dataset), "batches", required = o$n_batch > 0L)
    if (uses_labels(model) && !has_classifier(model) && anyNA(labels(dataset))) {
        abort_rscvi(c("{.arg model} needs the label of every cell, but {sum(is.na(labels(dataset)))} cells have none.",
            i = "{.fn SCANVI} and {.fn VAEC} take cells without a label."), class = "model_mismatch")
    }
    check_levels_fit(o$n_labels, model@label_levels, labels(dataset), "labels", required = uses_labels(model))
    if (!is.null(o$covariates) && !identical(level_names(dataset@covariates), level_names(o$covariates))) {
        match_covariates(dataset@covariates, o$covariates)
        abort_rscvi("The covariates of {.arg gene_dataset} are not in the order or with the levels of {.arg model}'s.",
            class = "model_mismatch")
    }
    invisible(model)
}

uses_labels <- function(model) has_classifier(model) || model@options$dispersion == "gene-label"

check_levels_fit <- function(n, model_levels, codes, what, required) {
    if (!required) return(invisible())
    if (n != nlevels(codes)) {
        abort_rscvi(c(
            "{.arg model} was built for {n} {what}, but {.arg gene_dataset} has {nlevels(codes)}.",
            i = "Build the model from this data set{if (what == 'batches') ', or with n_batch = 0 to ignore them'}.",
            i = if (what == "batches" && identical(levels(codes), "1")) "Was {.arg batch} forgotten when
                {.arg gene_dataset} was made?"
        ), class = "model_mismatch")
    }
    if (!is.null(model_levels) && !identical(model_levels, levels(codes))) {
        abort_rscvi("{.arg model} was built for the {what} {.val {model_levels}}, but {.arg gene_dataset} has
            {.val {levels(codes)}}.", class = "model_mismatch")
    }
}
