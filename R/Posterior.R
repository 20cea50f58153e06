# The posterior itself: which cells of which data set are asked of which model, and how they are iterated over.

#' The functional unit of scVI: a model, a data set and some of its cells
#'
#' All questions to a trained model are methods of a `Posterior`: where cells lie ([get_latent()]), how well the model
#' explains them ([marginal_ll()]), denoised expression ([get_sample_scale()]), differential expression
#' ([differential_expression_score()]), scores and pictures of the latent space ([entropy_batch_mixing()],
#' [show_t_sne()]), and more: [posterior-methods] has them all. Results have one row (element) a cell, **in the order of
#' `indices`**, whatever the order in which minibatches are visited.
#'
#' @param model a model, see [VAE()]; a [Classifier()] of counts makes a [ClassifierPosterior()].
#' @param gene_dataset a [GeneExpressionDataset()] with the genes that the model was built for, and batches, labels and
#'   covariates that it knows; where the model knows them by name, the cells need not have all of them.
#' @param shuffle visit the cells in a new random order each time ([for_each_minibatch()]); not together with `indices`.
#' @param indices `NULL` (all cells), a logical mask, 1-based indices (a cell may occur twice) or cell names.
#' @param use_cuda `NULL` uses a GPU if there is one, `TRUE` asks for one, `FALSE` uses the CPU.
#' @param data_loader_kwargs list that may hold `batch_size` (default 128), the number of cells computed on at a time.
#' @return A [Posterior-class] object.
#' @section Errors: `rscvi_model_mismatch` if model and data set do not fit; `rscvi_invalid_argument` for indices that
#'   do not exist and for `shuffle` together with `indices`; `rscvi_device_error` for a GPU that is not there.
#' @section Differences from scvi 0.6.8: there a posterior with `indices` visits its cells in a new random order each
#'   time, and gives its results in that order; the default batch size is 1, and without a GPU `use_cuda` has to be
#'   turned off by hand. It is changed in place by some of its methods; here it is a value.
#' @references scvi 0.6.8, `inference/posterior.py`, class `Posterior`; its example is the script
#'   `system.file("scripts", "posterior_example.R", package = "rscvi")`.
#' @seealso [posterior-methods] for all methods, [posterior-changes], [posterior-accessors]
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, seed = 1)
#' post <- Posterior(vae, dataset, indices = batch_indices(dataset) == "stim")
#' post
#' head(get_latent(post), 3)
#' @export
Posterior <- function(model, gene_dataset, shuffle = FALSE, indices = NULL, use_cuda = NULL,
                      data_loader_kwargs = list()) {
    if (is_classifier(model)) {
        return(ClassifierPosterior(model, gene_dataset, NULL, FALSE, shuffle, indices, use_cuda, data_loader_kwargs))
    }
    check_class(model, "model", "SCVIModel")
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    gene_dataset <- align_to_model(gene_dataset, model)
    check_model_fits(model, gene_dataset)
    new_posterior("Posterior", model, gene_dataset, shuffle, indices, use_cuda, data_loader_kwargs)
}

new_posterior <- function(class, model, gene_dataset, shuffle, indices, use_cuda, data_loader_kwargs, ...) {
    check_flag(shuffle, "shuffle")
    if (shuffle && !is.null(indices)) {
        abort_rscvi(c("{.arg indices} is mutually exclusive with {.code shuffle = TRUE}.",
            i = "Leave out one of the two."))
    }
    n <- nb_cells(gene_dataset)
    cells <- if (is.null(indices)) seq_len(n) else check_indices(indices, "indices", n, cell_names(gene_dataset))
    methods::new(class,
        model = model, gene_dataset = gene_dataset, indices = cells, shuffle = shuffle,
        use_cuda = check_use_cuda(use_cuda), data_loader_kwargs = check_data_loader_kwargs(data_loader_kwargs),
        use_corrupted = FALSE, version = as.character(utils::packageVersion("rscvi")), ...
    )
}

default_batch_size <- 128L

check_data_loader_kwargs <- function(x, default = default_batch_size) {
    if (!is.list(x) || (length(x) && is.null(names(x)))) {
        abort_rscvi("{.arg data_loader_kwargs} must be a named list, not {describe_value(x)}.")
    }
    # 0.6.8 handed these on to PyTorch's loader; here they have no meaning.
    unknown <- setdiff(names(x), c("batch_size", "pin_memory", "num_workers"))
    if (length(unknown)) {
        abort_rscvi(c("{.arg data_loader_kwargs} has unknown element{?s} {.field {unknown}}.",
            i = "It may hold {.field batch_size}."))
    }
    size <- if (is.null(x$batch_size)) default else x$batch_size
    list(batch_size = check_count(size, "data_loader_kwargs$batch_size", lower = 1L))
}

# A posterior as the glue takes it. Every method goes through here; an empty posterior and one of a classifier, which
# has neither a latent space nor a likelihood, stop here.
posterior_core <- function(post, indices = post@indices) {
    check_model_of_counts(post@model, "The model of this posterior")
    posterior_parts(post, indices)
}

posterior_parts <- function(post, indices = post@indices) {
    check_has_cells(indices)
    list(
        model = model_handle(post@model), dataset = dataset_handle(post@gene_dataset), cells = indices,
        batch_size = post@data_loader_kwargs$batch_size, corrupted = post@use_corrupted, use_cuda = post@use_cuda
    )
}

check_has_cells <- function(indices) {
    if (length(indices) == 0L) {
        abort_rscvi(c("This posterior has no cells.", i = "A test set is empty if {.code train_size = 1}."),
            class = "empty_posterior")
    }
}

# Row names of results: names of the cells, made unique if a cell occurs twice.
posterior_cell_names <- function(post) make.unique(cell_names(post@gene_dataset)[post@indices])

setMethod("show", "Posterior", function(object) {
    dataset <- object@gene_dataset
    n <- length(object@indices)
    all <- nb_cells(dataset)
    cat(sprintf("%s of a %s: %s x %d genes\n", class(object), class(object@model),
        if (n == all) sprintf("all %d cells", n) else sprintf("%d of %d cells", n, all), nb_genes(dataset)))
    if (n_batches(dataset) > 1L) cat_items("  batches: ", size_items(batch_indices(dataset)[object@indices]))
    if (n_labels(dataset) > 1L) cat_items("  labels:  ", size_items(labels(dataset)[object@indices]))
    o <- object@model@options
    cat(sprintf("  model:   %d latent dimensions, %s counts, dispersion per %s\n", o$n_latent, o$reconstruction_loss,
        o$dispersion))
    cat(sprintf("  reads %s counts, %d cells at a time%s\n", if (object@use_corrupted) "corrupted" else "observed",
        object@data_loader_kwargs$batch_size, if (object@shuffle) ", in random order" else ""))
    cat_items("  ask it:  ", c("get_latent()", "elbo()", "reconstruction_error()", "marginal_ll()", "get_stats()",
        "get_sample_scale()"))
    invisible(object)
})

# "T cells 20" for each level that has cells; of many levels, the first.
size_items <- function(x, most = 6L) {
    sizes <- table(x, useNA = "ifany")
    sizes <- sizes[sizes > 0]
    names(sizes)[is.na(names(sizes))] <- "NA"
    shown <- utils::head(sizes, most)
    c(paste(names(shown), shown), if (length(sizes) > most) sprintf("... (%d in all)", length(sizes)))
}

# Items after a heading, broken between items where the console is too narrow, and never within one.
cat_items <- function(heading, items) {
    items <- chartr(" ", "\r", paste0(items, rep(c(",", ""), c(length(items) - 1L, 1L))))
    lines <- strwrap(paste(items, collapse = " "), width = getOption("width") - nchar(heading))
    cat(paste0(c(heading, rep(strrep(" ", nchar(heading)), length(lines) - 1L)), chartr("\r", " ", lines), "\n"),
        sep = "")
}

#' What a posterior holds
#'
#' @param post,x,object a [Posterior()].
#' @return `indices()`: its cells, 1-based, in the order of all results. `nb_cells()`: how many. `posterior_type()`: the
#'   name of its class. `model()`: its model. `raw_data()`: a list of `X`, the counts (sparse, cells x genes; the
#'   corrupted ones for a corrupted posterior), and `labels`, a factor, of its cells. `cell_data()`: a `DataFrame` with
#'   what else is known of them.
#' @section Differences from scvi 0.6.8: there these are attributes and properties of a `Posterior` (but for
#'   `raw_data()`); indices count from 0, labels are codes, and `raw_data()` always gives the counts as they were
#'   observed.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), labels = "cell_type")
#' post <- Posterior(VAE(dataset, n_hidden = 16), dataset, indices = 1:100)
#' nb_cells(post)
#' table(raw_data(post)$labels)
#' @name posterior-accessors
NULL

#' @rdname posterior-accessors
#' @export
setMethod("indices", "Posterior", function(post) post@indices)

#' @rdname posterior-accessors
#' @export
setMethod("nb_cells", "Posterior", function(x) length(x@indices))

#' @rdname posterior-accessors
#' @export
setMethod("cell_data", "Posterior", function(x) x@gene_dataset@cell_data[x@indices, , drop = FALSE])

#' @rdname posterior-accessors
#' @export
setMethod("posterior_type", "Posterior", function(post) as.character(class(post)))

#' @rdname posterior-accessors
#' @export
setMethod("model", "Posterior", function(object) object@model)

#' @rdname posterior-accessors
#' @export
setMethod("raw_data", "Posterior", function(post) {
    dataset <- post@gene_dataset
    counts <- if (post@use_corrupted) corrupted_counts(dataset) else dataset@counts
    list(X = Matrix::t(counts[, post@indices, drop = FALSE]), labels = labels(dataset)[post@indices])
})

#' A posterior that is iterated over in another way, or reads other counts or cells
#'
#' Each returns a new posterior; the one that it is given stays as it is.
#'
#' @param post,object a [Posterior()].
#' @param batch_size number of cells computed on at a time. Results do not depend on it, but for the random draws.
#' @param idx cells of the data set: a logical mask, 1-based indices (a cell may occur twice) or cell names.
#' @param ... settings to change: `batch_size`, `shuffle`, `use_cuda`; for `to_cuda()`, the first two.
#' @return A [Posterior()]. `sequential()`: the same cells, visited in the order of `indices`. `corrupted()`,
#'   `uncorrupted()`: the same cells of the corrupted (real) counts, see [corrupt()]. `update_sampler_indices()`: other
#'   cells of the same data set. `update()`: other settings. `to_cuda()`: computed on the GPU (in 0.6.8 it moved tensors
#'   there), as `update(post, use_cuda = TRUE)`.
#' @section Differences from scvi 0.6.8: there `update_sampler_indices()` changes the posterior itself, which then
#'   visits the cells in random order, and `update()` takes a dictionary of settings of PyTorch's loader.
#' @section Errors: `rscvi_invalid_argument` for indices that do not exist, unknown settings, and `corrupted()` of a
#'   data set that was never corrupted; `rscvi_device_error` for a GPU that is not there.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8), corrupt(dataset, seed = 1))
#' elbo(corrupted(post), seed = 1) - elbo(post, seed = 1)
#' update(post, batch_size = 512)
#' nb_cells(update_sampler_indices(post, 1:20))
#' @name posterior-changes
NULL

#' @rdname posterior-changes
#' @export
setMethod("sequential", "Posterior", function(post, batch_size = 128) {
    update(post, batch_size = batch_size, shuffle = FALSE)
})

#' @rdname posterior-changes
#' @export
setMethod("corrupted", "Posterior", function(post) {
    if (is.null(post@gene_dataset@corrupted)) {
        abort_rscvi(c("The data set of this posterior has no corrupted counts.",
            i = "Make them with {.fn corrupt}, or {.fn corrupt_posteriors} for a trainer."))
    }
    post@use_corrupted <- TRUE
    post
})

#' @rdname posterior-changes
#' @export
setMethod("uncorrupted", "Posterior", function(post) {
    post@use_corrupted <- FALSE
    post
})

#' @rdname posterior-changes
#' @export
setMethod("update_sampler_indices", "Posterior", function(post, idx) {
    post@indices <- check_indices(idx, "idx", nb_cells(post@gene_dataset), cell_names(post@gene_dataset))
    post@shuffle <- FALSE
    post
})

#' @rdname posterior-changes
#' @export
setMethod("update", "Posterior", function(object, ...) {
    changes <- list(...)
    unknown <- setdiff(names(changes), c("batch_size", "shuffle", "use_cuda"))
    if (length(unknown) || (length(changes) && is.null(names(changes)))) {
        abort_rscvi(c("{.fn update} does not know {.field {if (length(unknown)) unknown else 'an unnamed argument'}}.",
            i = "It changes {.field batch_size}, {.field shuffle} or {.field use_cuda}."))
    }
    if ("batch_size" %in% names(changes)) {
        object@data_loader_kwargs$batch_size <- check_count(changes$batch_size, "batch_size", lower = 1L)
    }
    if ("shuffle" %in% names(changes)) object@shuffle <- check_flag(changes$shuffle, "shuffle")
    if ("use_cuda" %in% names(changes)) object@use_cuda <- check_use_cuda(changes$use_cuda)
    object
})

#' @rdname posterior-changes
#' @export
setMethod("to_cuda", "Posterior", function(post, ...) {
    if ("use_cuda" %in% ...names()) abort_rscvi("{.fn to_cuda} takes no {.arg use_cuda}: it is TRUE.")
    update(post, use_cuda = TRUE, ...)
})

#' Visit the cells of a posterior, minibatch by minibatch
#'
#' @param post a [Posterior()].
#' @param FUN function of `x` (counts, cells x genes, with dimnames), `local_l_mean`, `local_l_var` (library prior),
#'   `batch_index` and `labels` (factors), called once per minibatch; also of `covariates` (a data.frame) if the data
#'   set has any and `FUN` takes them. These are arguments that [loss_terms()] takes.
#' @param seed integer that decides the order if the posterior shuffles; `NULL` draws one from R's generator.
#' @return A list of what `FUN` returned, invisibly.
#' @section Differences from scvi 0.6.8: there a posterior is iterated over, as in `for tensors in posterior`; the
#'   tensors are those that `FUN` is given, in the same order, without names.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 8)
#' post <- Posterior(vae, dataset, data_loader_kwargs = list(batch_size = 500))
#' losses <- for_each_minibatch(post, function(x, local_l_mean, local_l_var, batch_index, labels) {
#'     mean(loss_terms(vae, x, local_l_mean, local_l_var, batch_index)$reconst_loss)
#' })
#' unlist(losses)
#' @name for_each_minibatch
NULL

#' @rdname for_each_minibatch
#' @export
setMethod("for_each_minibatch", "Posterior", function(post, FUN, seed = NULL) {
    if (!is.function(FUN)) abort_rscvi("{.arg FUN} must be a function, not {describe_value(FUN)}.")
    cells <- post@indices
    if (post@shuffle) cells <- cells[core(permutation_cpp(length(cells), resolve_seed(seed)))]
    dataset <- post@gene_dataset
    batches <- levels(batch_indices(dataset))
    taken <- names(formals(args(FUN)))
    takes_covariates <- ncol(dataset@covariates) > 0L && any(c("covariates", "...") %in% taken)
    out <- list()
    core(posterior_for_each_minibatch_cpp(
        posterior_core(post, cells),
        function(x, local_l_mean, local_l_var, batch_index, labels, start) {
            these <- cells[start - 1 + seq_len(nrow(x))]
            dimnames(x) <- list(make.unique(cell_names(dataset)[these]), gene_names(dataset))
            of_cells <- list(x, local_l_mean, local_l_var, factor(batches[batch_index], levels = batches),
                labels = factor(cell_types(dataset)[labels], levels = cell_types(dataset)))
            if (takes_covariates) of_cells$covariates <- covariates(dataset)[these, , drop = FALSE]
            result <- do.call(FUN, of_cells)
            out[length(out) + 1L] <<- list(result)
        }
    ))
    invisible(out)
})
