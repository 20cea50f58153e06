# Training itself.

#' @rdname train
#' @export
setMethod("train", "Trainer", function(trainer, n_epochs = 400, lr = 1e-3, eps = 0.01, seed = NULL,
                                                   verbose = NULL) {
    n_epochs <- resolve_n_epochs(n_epochs, nb_cells(trainer@gene_dataset))
    options <- c(
        list(
            n_epochs = n_epochs, lr = check_number(lr, "lr", lower = 0, lower_open = TRUE, upper_open = TRUE),
            eps = check_number(eps, "eps", lower = 0, lower_open = TRUE, upper_open = TRUE),
            first_iteration = trainer@state$n_iter, corrupted = trainer@state$corrupted, monitored = trainer@sets
        ),
        trainer@options[c("weight_decay", "batch_size", "n_epochs_kl_warmup", "n_iter_kl_warmup", "metrics_to_monitor",
            "max_nans")],
        list(frequency = if (is.null(trainer@options$frequency)) 0L else trainer@options$frequency)
    )
    # NULLs among the options must survive: the glue reads them as "none".
    options[c("n_epochs_kl_warmup", "n_iter_kl_warmup")] <- trainer@options[c("n_epochs_kl_warmup", "n_iter_kl_warmup")]
    options["semi_supervised"] <- list(semi_supervised_options(trainer))
    if (is.null(verbose)) verbose <- trainer@options$show_progbar
    progress <- training_progress(n_epochs, resolve_verbose(verbose))
    on.exit(progress$done())
    result <- change_model(trainer@model, train_cpp(
        model_handle(trainer@model), dataset_handle(current_dataset(trainer)), training_cells(trainer), options,
        trainer@options$early_stopping, trainer@options$use_cuda, resolve_seed(seed), interruptible(progress$update)
    ))
    trainer@state$n_iter <- result$iterations
    trainer@state$history <- as.data.frame(result$history, optional = TRUE)
    report_training(result, n_epochs, lr)
    invisible(trainer)
})

# Semi-supervised trainers go through all cells, labelled or not.
training_cells <- function(trainer) {
    if (is.null(trainer@sets$train_set)) trainer@sets$full_dataset else trainer@sets$train_set
}

resolve_n_epochs <- function(n_epochs, n_cells) {
    if (is.null(n_epochs)) return(as.integer(min(400, max(1, round(400 * 20000 / n_cells)))))
    check_count(n_epochs, "n_epochs", lower = 0L)
}

after_epoch <- function(epoch) if (epoch == 0) "before training" else paste("after epoch", epoch)

# What the user must know of how training ended.
report_training <- function(result, n_epochs, lr) {
    epoch <- result$epoch
    switch(result$status,
        diverged = abort_rscvi(c(
            "Training diverged in epoch {epoch} of {n_epochs}: the loss or the weights are no longer finite.",
            i = "The model is as it was {after_epoch(result$sound_epoch)}. A lower learning rate
                 ({.code lr = {format(lr / 10)}}) usually helps."
        ), class = "diverged"),
        interrupted = warn_rscvi("Training was interrupted in epoch {epoch} of {n_epochs}; the model is as it was
            {if (is.na(result$best_epoch)) 'then' else paste0(after_epoch(result$best_epoch), ', where it did best')}.",
            class = "interrupted"),
        stopped_early = inform_rscvi("Stopped early after epoch {epoch} of {n_epochs}.", class = "stopped_early")
    )
    if (!is.na(result$best_epoch) && result$status != "interrupted") {
        inform_rscvi("The model is as it was {after_epoch(result$best_epoch)}, where it did best.", class = "best_state")
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
