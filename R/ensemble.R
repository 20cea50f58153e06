# Several fits of the same cells: what they agree on.

#' What several fits agree on
#'
#' A fit depends on where it started, and so do the genes that it calls. `scvi_ensemble()` trains a model from several
#' seeds, and [differential_expression_score()] of the result says how many of the fits call a gene.
#'
#' # Seeds
#' Fit k has the seed `seed + k - 1`, for weights, split and training: it is the fit that `runSCVI(x, ..., seed = seed +
#' k - 1)` gives. The fits so differ in which cells were held out, too. Each fit's differential expression draws from
#' the `seed` of that call in the same way.
#'
#' # The table
#' `differential_expression_score(ensemble, ...)` asks each fit, and gives for each gene the **median over fits** of
#' every column. A fit *calls* a gene where
#' * with `fdr_target`, the gene is on the fit's list of that false discovery rate (the column `is_de_fdr_...` is then
#'   whether more than half of the fits call it);
#' * otherwise in change mode `proba_de` is at least .95, and in vanilla mode \eqn{|bayes\_factor| > 3}.
#'
#' `n_called` counts the fits that call the gene, of `n_fits`. Genes are sorted by falling `n_called`, then by the
#' median of `proba_de` (of \eqn{|bayes\_factor|} in vanilla mode). A gene that one fit of three calls is no finding.
#'
#' @param x a `SingleCellExperiment`, trained on with the defaults of [runSCVI()]; a [GeneExpressionDataset()], with
#'   those of [VAE()], [UnsupervisedTrainer()] and [train()] (400 epochs); or a list of [Posterior()]s of fits that
#'   there are already, all of the same cells and genes.
#' @param n_seeds number of fits.
#' @param seed integer, the seed of the first fit; `NULL` draws one from R's generator.
#' @param BPPARAM `NULL`: one fit after the other. Or a `BiocParallelParam`, to share out the fits by
#'   [BiocParallel::bplapply()]. Use `SnowParam()`: LibTorch cannot train in a process that was forked from one that has
#'   trained. Each worker computes with as many threads as it finds, see [num_threads()].
#' @param ... arguments of [runSCVI()], or of [VAE()], [UnsupervisedTrainer()] and [train()].
#' @param object an ensemble.
#' @return An [SCVIEnsemble-class] object; `posteriors()` gives the list of its posteriors.
#' @section Errors: those of the functions named above; `rscvi_model_mismatch` for posteriors of different cells or
#'   genes; `rscvi_missing_package` for a `BPPARAM` without BiocParallel.
#' @seealso [diagnose()] for each fit.
#' @examples
#' ensemble <- scvi_ensemble(example_pbmc(), n_seeds = 2, batch = "batch", labels = "cell_type", n_epochs = 3,
#'     n_hidden = 16, seed = 1)
#' ensemble
#' de <- differential_expression_score(ensemble, group1 = "B cells", group2 = "CD4 T cells", mode = "change",
#'     pseudocounts = "detection", fdr_target = 0.05, n_samples = 200, seed = 1)
#' head(de[c("proba_de", "lfc_mean", "n_called", "n_fits")])
#' @name scvi_ensemble
NULL

#' @rdname scvi_ensemble
#' @export
setMethod("scvi_ensemble", "list", function(x, ...) {
    check_no_dots(...)
    if (length(x) == 0L) abort_rscvi("{.arg x} must be a list of {.cls Posterior}s, not an empty one.")
    for (k in seq_along(x)) check_class(x[[k]], sprintf("x[[%d]]", k), "Posterior")
    names_of <- function(post) list(posterior_cell_names(post), gene_names(post@gene_dataset))
    for (post in x[-1L]) {
        if (!identical(names_of(post), names_of(x[[1L]]))) {
            abort_rscvi(c("The posteriors of {.arg x} are of different cells or genes, or the same in another order.",
                i = "Take {.fn create_posterior} of each trainer, or {.fn posterior} of each fit."),
                class = "model_mismatch")
        }
    }
    new_ensemble(unname(x), rep(NA_real_, length(x)))
})

#' @rdname scvi_ensemble
#' @export
setMethod("scvi_ensemble", "GeneExpressionDataset", function(x, n_seeds = 3, seed = NULL, BPPARAM = NULL, ...) {
    arguments <- sort_arguments(list(...), "scvi_ensemble", c(model = "VAE", trainer = "UnsupervisedTrainer"),
        taken = c("model", "gene_dataset", "n_input", "seed"), of_train = c("n_epochs", "lr", "eps", "verbose"))
    fit_seeds(n_seeds, seed, BPPARAM, fit_dataset, x = x, arguments = arguments)
})

#' @rdname scvi_ensemble
#' @export
setMethod("scvi_ensemble", "ANY", function(x, n_seeds = 3, seed = NULL, BPPARAM = NULL, ...) {
    x <- as_single_cell(x)
    if (any(c("name", "seed") %in% ...names())) {
        abort_rscvi("{.fn scvi_ensemble} takes no {.arg name}: its fits are not stored in {.arg x}.")
    }
    fit_seeds(n_seeds, seed, BPPARAM, fit_container, x = x, arguments = list(...))
})

fit_dataset <- function(seed, x, arguments) {
    vae <- do.call(VAE, c(list(x, seed = seed), arguments$model))
    trainer <- do.call(UnsupervisedTrainer, c(list(vae, x, seed = seed), arguments$trainer))
    do.call(train, c(list(trainer, seed = seed), arguments$train))
    create_posterior(trainer)
}

fit_container <- function(seed, x, arguments) {
    # Before the call: S4 dispatch would hide the class of an error in its first argument.
    fitted <- do.call(runSCVI, c(list(x, seed = seed), arguments))
    posterior(fitted)
}

fit_seeds <- function(n_seeds, seed, BPPARAM, fit, ...) {
    n_seeds <- check_count(n_seeds, "n_seeds", lower = 1L)
    largest <- .Machine$integer.max
    seeds <- (resolve_seed(seed) + seq_len(n_seeds) - 1) %% largest
    new_ensemble(over_fits(seeds, fit, ..., BPPARAM = BPPARAM), seeds)
}

over_fits <- function(X, FUN, ..., BPPARAM) {
    if (is.null(BPPARAM)) return(lapply(X, FUN, ...))
    if (!requireNamespace("BiocParallel", quietly = TRUE)) {
        abort_rscvi(c("{.arg BPPARAM} needs the package {.pkg BiocParallel}.",
            i = "Install it, or leave {.arg BPPARAM} out."), class = "missing_package")
    }
    if (!methods::is(BPPARAM, "BiocParallelParam")) {
        abort_rscvi("{.arg BPPARAM} must be a {.cls BiocParallelParam}, not {describe_value(BPPARAM)}.")
    }
    BiocParallel::bplapply(X, FUN, ..., BPPARAM = BPPARAM)
}

new_ensemble <- function(posteriors, seeds) {
    methods::new("SCVIEnsemble", posteriors = posteriors, seeds = as.numeric(seeds),
        version = as.character(utils::packageVersion("rscvi")))
}

#' @rdname scvi_ensemble
#' @export
posteriors <- function(object) check_class(object, "object", "SCVIEnsemble")@posteriors

setMethod("show", "SCVIEnsemble", function(object) {
    post <- object@posteriors[[1L]]
    cat(sprintf("SCVIEnsemble of %d fits: %s of %d cells x %d genes\n", length(object@posteriors),
        class(post@model), nb_cells(post), nb_genes(post@gene_dataset)))
    if (!anyNA(object@seeds)) cat_items("  seeds:  ", format(object@seeds, trim = TRUE))
    cat_items("  ask it: ", c("differential_expression_score()", "posteriors()"))
    invisible(object)
})

#' @rdname differential_expression_score
#' @export
setMethod("differential_expression_score", "SCVIEnsemble", function(
    post, idx1 = NULL, idx2 = NULL, mode = "vanilla", batchid1 = NULL, batchid2 = NULL, use_observed_batches = FALSE,
    n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, all_stats = TRUE, change_fn = NULL,
    m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL, pseudocounts = NULL, fdr_target = NULL,
    group1 = NULL, group2 = NULL, seed = NULL
) {
    seed <- resolve_seed(seed)
    genes <- gene_names(post@posteriors[[1L]]@gene_dataset)
    tables <- said_once("rscvi_message", lapply(seq_along(post@posteriors), function(k) {
        table <- differential_expression_score(post@posteriors[[k]], idx1, idx2, mode, batchid1, batchid2,
            use_observed_batches, n_samples, use_permutation, M_permutation, all_stats, change_fn, m1_domain_fn, delta,
            cred_interval_lvls, pseudocounts, fdr_target, group1, group2, seed = (seed + k - 1) %% .Machine$integer.max)
        table[genes, , drop = FALSE]
    }))
    combine_fits(tables)
})

# `tables`: one a fit, all with the same genes in the same order.
combine_fits <- function(tables) {
    called <- vapply(tables, is_called, logical(nrow(tables[[1L]])))
    dim(called) <- c(nrow(tables[[1L]]), length(tables))
    table <- tables[[1L]]
    for (column in names(table)) {
        values <- vapply(tables, function(table) as.numeric(table[[column]]), numeric(nrow(table)))
        dim(values) <- dim(called)
        table[[column]] <- if (is.logical(table[[column]])) rowMeans(values) > 0.5 else apply(values, 1L, stats::median)
    }
    table$n_called <- as.integer(rowSums(called, na.rm = TRUE))
    table$n_fits <- length(tables)
    evidence <- if (is.null(table$proba_de)) abs(table$bayes_factor) else table$proba_de
    table[order(-table$n_called, -evidence, method = "radix"), , drop = FALSE]
}

# Messages of a class: the first is let through, others of the same classes are not.
said_once <- function(class, expr) {
    said <- character(0)
    withCallingHandlers(expr, message = function(m) {
        if (!inherits(m, class)) return()
        kind <- base::class(m)[1L]
        if (kind %in% said) tryInvokeRestart("muffleMessage")
        said <<- c(said, kind)
    })
}
