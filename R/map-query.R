# New cells on a trained model.

#' Map new cells onto a trained model
#'
#' Puts cells that the model has not seen into its latent space, as they are, without training it again: the genes of
#' `x` are brought into the model's order, batches that the model does not know get columns of their own in its weights,
#' all other weights stay as they are to the bit, and the labels of the reference are carried over (the surgery of
#' scArches: Lotfollahi et al. 2022, *Nature Biotechnology* 40:121).
#'
#' # Genes
#' Genes are matched by name. Those that `x` lacks count as zeros, and a message says how many they are; those that the
#' model does not know are left out.
#'
#' # Batches
#' A batch that the model knows by name uses the columns that it has; a new one starts as the mean of the known ones,
#' and its columns alone are trained, for `n_epochs` epochs on the new cells. With `encode_covariates = FALSE`, the
#' default of models, the encoder does not see the batch: places in latent space do not depend on this training, and
#' decoded expression does. A model that was built without batches ignores them here as well. The prior of the library
#' size is that of the reference for batches that it has, and that of the new cells for others.
#'
#' # Labels
#' Labels spread from the labelled cells of the reference that are among the `k` nearest of some new cell, along nearest
#' neighbours in latent space, as [transfer_labels()] says (step 1, without a classifier and without a look at how
#' frequent labels are). A cell that no label reaches has the vote of its `k` nearest reference cells, and a [VAEC()],
#' which places a cell by its label, asks its classifier. `cell_data()` of the result has them as `transferred_label`
#' and `transferred_probability`, if the reference has more than one label. What the classifier of a SCANVI thinks,
#' [compute_predictions()] says. New cells are neighbours, too: map all cells of an experiment together.
#'
#' # How good it is
#' The model has not seen what sets the new cells apart. Labels of [example_pbmc()]'s control cells on its stimulated
#' ones, 100 epochs of the VAE, accuracy with twelve seeds, mean and range: a VAE, trained as [runSCVI()] does, .861
#' (.808 to .901), where the vote of 15 neighbours has .819 (.761 to .877); a SCANVI, trained as [runSCANVI()] does,
#' .876 (.836 to .903), where its classifier has .843 (.759 to .901). Logistic regression on log counts per 10,000 has
#' .915. With `encode_covariates = TRUE`, training the encoder's columns made labels worse, not better: .82 fell to .79
#' in 100 epochs, .90 to .86 with `library = "observed"` (votes and classifier, one seed each, 50 epochs of the VAE, a
#' SCANVI with the defaults of [SemiSupervisedTrainer()]).
#'
#' @param post a [Posterior()] of a trained model, of the cells that labels are to come from.
#' @param x the new cells: whatever [GeneExpressionDataset()] takes.
#' @param batch,labels,covariates,assay.type as for [GeneExpressionDataset()]. `batch = NULL` stands for one new batch
#'   `"query"`. Labels are optional, may be `NA`, and must be among those of the reference; they are used for scores
#'   such as [accuracy()] alone. Levels of covariates must be known to the model.
#' @param n_epochs number of epochs of training the columns of new batches; 0: leave them at their start.
#' @param lr learning rate of that.
#' @param k number of neighbours of each cell along which labels spread.
#' @param seed integer that decides the training; `NULL` draws one from R's generator.
#' @param verbose show progress; `NULL`: in interactive sessions, but not while knitting.
#' @param ... further arguments of [GeneExpressionDataset()].
#' @return A [Posterior()] of the new cells. Its model is a new one that knows the old and the new batches; that of
#'   `post` is left alone.
#' @section Errors: `rscvi_no_common_genes` if `x` has none of the model's genes; `rscvi_unknown_labels` for labels that
#'   the reference does not have; `rscvi_empty_cells` for cells without counts of the model's genes;
#'   `rscvi_model_mismatch` for covariates that are not there or have unknown levels; those of
#'   [GeneExpressionDataset()], such as `rscvi_degenerate_batch` for a batch of a single cell. Warnings:
#'   `rscvi_few_genes` if less than half of the model's genes are there, `rscvi_too_few_cells` if fewer than three cells
#'   leave nothing to train on, `rscvi_few_cells` if `k` is more than the reference has labelled cells.
#' @examples
#' sce <- example_pbmc()
#' reference <- runSCVI(sce[, sce$batch == "ctrl"], batch = "batch", labels = "cell_type", n_epochs = 5, n_hidden = 32,
#'     seed = 1)
#' query <- map_query(posterior(reference), sce[, sce$batch == "stim"], batch = "batch", n_epochs = 2, seed = 1)
#' query
#' head(cell_data(query)[c("transferred_label", "transferred_probability")], 3)
#' @name map_query
NULL

#' @rdname map_query
#' @export
setMethod("map_query", "Posterior", function(post, x, batch = NULL, labels = NULL, covariates = NULL,
                                             assay.type = "counts", n_epochs = 50, lr = 1e-3, k = 15, seed = NULL,
                                             verbose = NULL, ...) {
    n_epochs <- check_count(n_epochs, "n_epochs", lower = 0L)
    k_is_given <- !missing(k)
    k <- check_count(k, "k", lower = 1L)
    check_model_of_counts(post@model, what = "The model of {.arg post}")
    check_has_cells(post@indices)
    reference <- post@gene_dataset
    known <- known_batches(post)
    query <- query_dataset(x, batch, labels = labels, covariates = covariates, assay.type = assay.type, ...)
    query <- match_genes(query, gene_names(reference))
    if (is.null(batch)) query@batch <- factor(rep(new_name("query", known), nb_cells(query)))
    query <- with_known_priors(query, reference)
    query@labels <- reference_labels(query, reference, given = !is.null(labels))
    unknown <- if (length(known)) setdiff(levels(batch_indices(query)), known)
    model <- if (length(unknown)) with_more_batches(post@model, known, unknown) else clone(post@model)
    mapped <- Posterior(model, align_to_model(query, model, batch_is_given = TRUE), use_cuda = post@use_cuda,
        data_loader_kwargs = post@data_loader_kwargs)
    if (length(unknown) && n_epochs > 0L && enough_to_train(nb_cells(query))) {
        train_new_batches(mapped, first = length(known) + 1L, n_epochs, lr, seed, verbose)
    }
    store_transferred(mapped, transferred_labels(post, mapped, k, k_is_given))
})

query_dataset <- function(x, batch, ...) {
    tryCatch(GeneExpressionDataset(x, batch = batch, ...), rscvi_degenerate_batch = function(e) {
        abort_rscvi(c("A batch of {.arg x} cannot be mapped: its cells do not tell how library sizes vary.",
            i = "It takes at least two cells a batch, with different numbers of counts."), class = "degenerate_batch",
            parent = e)
    })
}

new_name <- function(name, taken) make.unique(c(taken, name))[length(taken) + 1L]

enough_to_train <- function(n_cells) {
    least <- 3L  # of a minibatch
    if (n_cells >= least) return(TRUE)
    warn_rscvi("{n_cells} cell{?s} {?is/are} too few to train the columns of a new batch, which stay at the mean of the
        known ones.", class = "too_few_cells")
    FALSE
}

# Cells of a batch that the reference has are held against that batch's library sizes, not against their own.
with_known_priors <- function(query, reference) {
    prior <- library_prior(reference)
    prior <- prior[prior$n_cells > 0, ]
    at <- match(as.character(query@batch), as.character(prior$batch))
    known <- !is.na(at)
    query@local_means[known] <- prior$mean[at[known]]
    query@local_vars[known] <- prior$var[at[known]]
    query
}

# The counts in another data set's genes: zeros for genes that are not there.
match_genes <- function(query, genes) {
    at <- match(genes, gene_names(query))
    found <- which(!is.na(at))
    report_genes(query, genes, found)
    counts <- query@counts
    if (length(found) == length(genes)) {
        if (!identical(at, seq_len(nrow(counts)))) counts <- counts[at, , drop = FALSE]
    } else {
        some <- counts[at[found], , drop = FALSE]
        counts <- methods::new("dgCMatrix", p = some@p, i = found[some@i + 1L] - 1L, x = some@x,
            Dim = c(length(genes), ncol(some)), Dimnames = list(genes, colnames(some)))
    }
    totals <- unname(Matrix::colSums(counts))
    if (any(totals == 0)) {
        empty <- cell_names(query)[totals == 0]
        abort_rscvi(c("{length(empty)} of {length(totals)} cells have no counts of the model's genes, first
            {.val {empty[1L]}}.", i = "Leave them out."), class = "empty_cells")
    }
    new_dataset(counts, query@batch, query@labels, query@proteins, query@cell_data, query@covariates, totals)
}

report_genes <- function(query, genes, found) {
    missing <- genes[-found]
    if (length(found) == 0L) {
        abort_rscvi(c("{.arg x} has none of the {length(genes)} genes of the model.",
            i = "The model's are called {.val {first_few(genes, 3L)}}, those of {.arg x}
                 {.val {first_few(gene_names(query), 3L)}}: bring them to the same kind of name first."),
        class = "no_common_genes")
    }
    if (length(missing) == 0L) return(invisible())
    say <- if (length(found) < length(genes) / 2) warn_rscvi else inform_rscvi
    say(c("{.arg x} has {length(found)} of the {length(genes)} genes of the model.",
        i = "The others count as zeros: {.val {first_few(missing)}}."),
    class = if (length(found) < length(genes) / 2) "few_genes" else "missing_genes")
}

# Labels in the reference's levels; NA where none were given.
reference_labels <- function(query, reference, given) {
    known <- cell_types(reference)
    if (!given) return(factor(rep(NA_character_, nb_cells(query)), levels = known))
    unknown <- setdiff(cell_types(query), known)
    if (length(unknown)) {
        abort_rscvi(c("{.arg labels} has {.val {first_few(unknown)}}, which the reference does not know.",
            i = "It knows {.val {first_few(known, 20L)}}. Give {.code NA} where a cell has none of these."),
        class = "unknown_labels")
    }
    factor(as.character(labels(query)), levels = known)
}

# Names of the model's batches; none if it was built without.
known_batches <- function(post) {
    if (post@model@options$n_batch < 1L) return(character(0))
    if (is.null(post@model@batch_levels)) levels(batch_indices(post@gene_dataset)) else post@model@batch_levels
}

with_more_batches <- function(model, known, unknown) {
    inform_rscvi("{.val {unknown}} {?is a new batch/are new batches}; the model knows {.val {known}}.",
        class = "new_batches")
    more <- model
    more@options$n_batch <- model@options$n_batch + length(unknown)
    more@batch_levels <- c(known, unknown)
    more@state <- new.env(parent = emptyenv())
    more@state$handle <- core(model_with_more_batches_cpp(model_handle(model), length(unknown)))
    sync_weights(more)
    more
}

# Moves the columns of new batches alone, without a look at labels.
train_new_batches <- function(post, first, n_epochs, lr, seed, verbose) {
    options <- trainer_options("train_set", on = "train_set", n_iter_kl_warmup = NULL, n_epochs_kl_warmup = NULL,
        use_cuda = post@use_cuda, metrics_to_monitor = NULL, frequency = NULL, weight_decay = 0,
        early_stopping_kwargs = NULL, data_loader_kwargs = NULL, batch_size = default_batch_size, max_nans = 10,
        show_progbar = NULL, metrics = "elbo")
    options$without_labels <- has_classifier(post@model)
    options$trained_columns <- core(model_columns_of_batches_cpp(model_handle(post@model), first,
        post@model@options$n_batch - first + 1L))
    trainer <- new_trainer("UnsupervisedTrainer", post@model, post@gene_dataset, options,
        list(train_set = post@indices))
    train(trainer, n_epochs = n_epochs, lr = lr, seed = seed, verbose = verbose)
}

# A table of predictions, or NULL where the reference has no labels to give.
transferred_labels <- function(post, mapped, k, k_is_given) {
    if (places_by_labels(mapped@model)) return(compute_predictions(mapped))
    reference <- update_sampler_indices(post, post@indices[!is.na(posterior_labels(post))])
    label <- droplevels(posterior_labels(reference))
    if (nlevels(label) < 2L) return(NULL)
    from <- check_coordinates(latent_matrix(reference), "latent_matrix(post)")
    to <- check_coordinates(latent_matrix(mapped), "latent_matrix(query)", least_cells = 1L)
    k <- resolve_neighbours(k, "k", nrow(from), k_is_given)
    predictions_table(NA, transferred_of(from, label, to, k))
}

# Probabilities (new cells x labels). Labels spread from the cells of the reference that are nearest to new ones, which
# are all that decide, and without a look at how frequent labels are: what sets the new cells apart would make mistakes
# look like frequent labels.
transferred_of <- function(from, label, to, k, alpha = 0.8) {
    label <- factor(label)
    near <- nearest_known(from, to, k)
    here <- sort(unique(as.vector(near)))
    known <- label[c(here, rep(NA, nrow(to)))]
    q <- spread_labels(rbind(from[here, , drop = FALSE], to), known, min(k, length(known) - 1L), alpha)
    q <- q[-seq_along(here), , drop = FALSE]
    # New cells that lie together and apart from the reference are none of its cells' neighbours.
    unreached <- is.na(q[, 1L])
    q[unreached, ] <- shares_of_labels(near[unreached, , drop = FALSE], label)
    q
}

store_transferred <- function(mapped, transferred) {
    if (is.null(transferred)) return(mapped)
    cells <- mapped@gene_dataset@cell_data
    cells$transferred_label <- transferred$prediction
    cells$transferred_probability <- transferred$probability
    mapped@gene_dataset@cell_data <- cells
    mapped
}
