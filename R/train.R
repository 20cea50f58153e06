# Training itself.

#' @rdname train
#' @export
setMethod("train", "Trainer", function(trainer, n_epochs = 400, lr = 1e-3, eps = 0.01, seed = NULL,
                                                   verbose = NULL) {
    n_epochs <- resolve_n_epochs(n_epochs, nb_cells(trainer@gene_dataset))
    result <- run_training(trainer, n_epochs, lr, eps, resolve_seed(seed), verbose)
    trainer@state$history <- result$history
    remember_training(trainer)
    report_training(result, n_epochs, lr, dispersions_rest(trainer))
    invisible(trainer)
})

# One call of the core. What it gives, the history as a data.frame.
run_training <- function(trainer, n_epochs, lr, eps, seed, verbose) {
    options <- training_options(trainer, n_epochs, lr, eps)
    check_precision(options$precision, trainer@options$use_cuda)
    options$step_graph <- repeats_steps(options$step_graph, trainer@options$use_cuda)
    if (is.null(verbose)) verbose <- trainer@options$show_progbar
    progress <- training_progress(n_epochs, resolve_verbose(verbose))
    on.exit(progress$done())
    result <- change_model(trainer@model, call_training(trainer, options, seed, interruptible(progress$update)))
    trainer@state$n_iter <- result$iterations
    result$history <- as.data.frame(result$history, optional = TRUE)
    # Nothing is annealed in the loss of a classifier.
    if (methods::is(trainer, "ClassifierTrainer")) result$history$kl_weight <- NULL
    result
}

# Not evaluated before change_model() does: it looks after a model that the core leaves half changed.
call_training <- function(trainer, options, seed, on_epoch) {
    model <- model_handle(trainer@model)
    dataset <- dataset_handle(current_dataset(trainer))
    cells <- training_cells(trainer)
    early_stopping <- trainer@options$early_stopping
    use_cuda <- trainer@options$use_cuda
    if (methods::is(trainer, "ClassifierTrainer")) {
        return(train_classifier_cpp(model, classifier_options(trainer), dataset, cells, options, early_stopping,
            use_cuda, seed, on_epoch))
    }
    train_cpp(model, dataset, cells, options, early_stopping, use_cuda, seed, on_epoch)
}

# As the glue takes them.
training_options <- function(trainer, n_epochs, lr, eps) {
    options <- c(
        list(
            n_epochs = n_epochs, lr = check_number(lr, "lr", lower = 0, lower_open = TRUE, upper_open = TRUE),
            eps = check_number(eps, "eps", lower = 0, lower_open = TRUE, upper_open = TRUE),
            first_iteration = trainer@state$n_iter, corrupted = trainer@state$corrupted, monitored = trainer@sets
        ),
        trainer@options[c("weight_decay", "batch_size", "n_epochs_kl_warmup", "n_iter_kl_warmup", "metrics_to_monitor",
            "max_nans")],
        or_default(trainer@options),
        list(frequency = if (is.null(trainer@options$frequency)) 0L else trainer@options$frequency,
            trained = trained_part(trainer), trained_columns = as.list(trainer@options$trained_columns),
            without_labels = isTRUE(trainer@options$without_labels), watch_every_epoch = watches_every_epoch(trainer))
    )
    # NULLs among the options must survive: the glue reads them as "none".
    may_be_null <- c("n_epochs_kl_warmup", "n_iter_kl_warmup", "lr_dispersion")
    options[may_be_null] <- trainer@options[may_be_null]
    options["semi_supervised"] <- list(semi_supervised_options(trainer))
    options
}

# Trainers that were saved before these options, or do not have them, train as scvi 0.6.8 does.
or_default <- function(options) {
    defaults <- list(max_kl_weight = 1, lr_schedule = "constant", free_bits = 0, n_iter_fixed_dispersion = 0,
        precision = "single", step_graph = FALSE)
    utils::modifyList(defaults, options[intersect(names(defaults), names(options))])
}

# Whether steps are repeated as CUDA graphs, if that is asked for.
repeats_steps <- function(step_graph, use_cuda, known = core(has_cuda_graphs_cpp())) {
    if (!step_graph) return(FALSE)
    if (known && !isFALSE(use_cuda)) return(TRUE)
    warn_rscvi(c("{.code step_graph = TRUE} takes a GPU, and an rscvi built with CUDA's headers and a LibTorch 2.4 or
        newer for GPUs ({.code ?UnsupervisedTrainer}): steps are called one by one here.",
        i = "Leave {.arg step_graph} out to train without this warning."), class = "no_step_graph")
    FALSE
}

# The core trains in single precision where bfloat16 would be slower, and on a GPU, where nobody has tried.
check_precision <- function(precision, use_cuda, known = core(has_bfloat16_products_cpp())) {
    on_gpu <- !isFALSE(use_cuda) && cuda_is_available()
    if (precision == "single" || (known && !on_gpu)) return(invisible())
    warn_rscvi(c("{.code precision = \"bfloat16\"} takes the CPU, one with AVX512-BF16, and a LibTorch with oneDNN:
        training is in single precision here.",
        i = "Leave {.arg precision} out to train without this warning."), class = "no_bfloat16")
}

# Names of the modules that are trained, the others being frozen; none: all are trained.
trained_part <- function(trainer) {
    if (!methods::is(trainer, "AdapterTrainer")) return(character(0))
    # An observed library has no encoder.
    unique(sub("[.].*", "", names(trainer@state$encoders)))
}

watches_every_epoch <- function(trainer) {
    !methods::is(trainer, "AdapterTrainer") || !is.null(trainer@options$early_stopping$early_stopping_metric)
}

# Semi-supervised trainers go through all cells, labelled or not; those of classifiers through labelled ones alone.
training_cells <- function(trainer) {
    sets <- trainer@sets
    if (methods::is(trainer, "AdapterTrainer")) return(sets$test_set)
    if (methods::is(trainer, "ClassifierTrainer")) return(labelled_among(trainer@gene_dataset, sets$train_set))
    if (is.null(sets$train_set)) sets$full_dataset else sets$train_set
}

resolve_n_epochs <- function(n_epochs, n_cells) {
    if (is.null(n_epochs)) return(as.integer(min(400, max(1, round(400 * 20000 / n_cells)))))
    check_count(n_epochs, "n_epochs", lower = 0L)
}

after_epoch <- function(epoch) if (epoch == 0) "before training" else paste("after epoch", epoch)

# Whether log dispersions, if counts have any, have not learnt yet.
dispersions_rest <- function(trainer) {
    fixed <- trainer@options$n_iter_fixed_dispersion
    !is.null(fixed) && fixed > 0 && trainer@state$n_iter <= fixed &&
        trainer@model@options$reconstruction_loss != "poisson"
}

# What the user must know of how training ended.
report_training <- function(result, n_epochs, lr, dispersions_rest = FALSE) {
    epoch <- result$epoch
    switch(result$status,
        diverged = abort_rscvi(c(
            "Training diverged in epoch {epoch} of {n_epochs}: the loss or the weights are no longer finite.",
            i = "The model is as it was {after_epoch(result$sound_epoch)}. A lower learning rate
                 ({.code lr = {format(lr / 10)}}) usually helps."
        ), class = "diverged"),
        interrupted = warn_rscvi(c("Training was interrupted in epoch {epoch} of {n_epochs}; the model is as it was
            {if (is.na(result$best_epoch)) 'then' else paste0(after_epoch(result$best_epoch), ', where it did best')}.",
            i = if (dispersions_rest) "Log dispersions have not begun to learn ({.arg n_iter_fixed_dispersion}): counts
                are less likely than they could be."), class = "interrupted"),
        stopped_early = inform_rscvi("Stopped early after epoch {epoch} of {n_epochs}.", class = "stopped_early")
    )
    if (!is.na(result$best_epoch) && result$status != "interrupted") {
        inform_rscvi("The model is as it was {after_epoch(result$best_epoch)}, where it did best.",
            class = "best_state")
    }
}

#' Train on corrupted counts
#'
#' `corrupt_posteriors()` corrupts the counts of the trainer's data set (see [corrupt()]) and makes its sets, and
#' training, use the corrupted counts; `uncorrupt_posteriors()` goes back to the real ones.
#' @param trainer a trainer, see [UnsupervisedTrainer()]; **it is changed in place**.
#' @param rate,corruption,seed see [corrupt()].
#' @param update_corruption `FALSE` keeps an earlier corruption of the data set, if there is one.
#' @return The trainer, invisibly.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8), dataset)
#' corrupt_posteriors(trainer, rate = 0.1, corruption = "uniform", seed = 1)
#' train_set(trainer)
#' @export
corrupt_posteriors <- function(trainer, rate = 0.1, corruption = "uniform", update_corruption = TRUE, seed = NULL) {
    check_class(trainer, "trainer", "Trainer")
    check_flag(update_corruption, "update_corruption")
    dataset <- current_dataset(trainer)
    if (update_corruption || is.null(dataset@corrupted)) {
        dataset <- corrupt(dataset, rate = rate, corruption = corruption, seed = seed)
    }
    trainer@state$gene_dataset <- dataset
    trainer@state$corrupted <- TRUE
    invisible(trainer)
}

#' @rdname corrupt_posteriors
#' @export
uncorrupt_posteriors <- function(trainer) {
    check_class(trainer, "trainer", "Trainer")
    trainer@state$corrupted <- FALSE
    invisible(trainer)
}

# The trainer's data set; corrupting it replaced the one that the trainer was made with.
current_dataset <- function(trainer) {
    if (is.null(trainer@state$gene_dataset)) trainer@gene_dataset else trainer@state$gene_dataset
}
