# Encoders, fitted to cells that a model was not trained on.

#' Adapt the encoders of a trained model to other cells
#'
#' Encoders that were trained on some cells place others less well than the best encoders could. An `AdapterTrainer()`
#' trains the encoders of z and of the library size, **and nothing else**, on the cells of a posterior; [train()] does
#' so `n_path` times, each time from the encoders as they were when the trainer was made. The negative ELBO that is
#' reached is a closer bound of those cells' likelihood under the decoder as it is.
#'
#' # Few cells
#' The running statistics of the encoders' batch normalisation follow the weights by a hundredth each minibatch. Where
#' an epoch has but a few minibatches, `elbo_test_set` therefore rises before it falls, and a path can end before that:
#' what is returned is then the value before training. A smaller `batch_size` (of 300 cells, 16) or more epochs help.
#'
#' @inheritParams UnsupervisedTrainer
#' @param model a trained model: a [VAE()] or its kin; **its encoders are changed in place** by [train()].
#' @param gene_dataset the [GeneExpressionDataset()] of `posterior_test`.
#' @param posterior_test a [Posterior()]: its cells are adapted to, on the corrupted counts if it reads those.
#' @param frequency the negative ELBO of these cells, `elbo_test_set` in [history()], is computed before training, every
#'   so many epochs and at the end.
#' @param n_iter_kl_warmup,n_epochs_kl_warmup see [UnsupervisedTrainer()]; none here by default.
#' @param early_stopping_kwargs list, see [UnsupervisedTrainer()]; with `early_stopping_metric` the metrics are computed
#'   after every epoch.
#' @return `AdapterTrainer()`: an [AdapterTrainer-class] object, with [test_set()]. `train()`: **the smallest
#'   `elbo_test_set`** of all paths and epochs in which it was computed, in nats per cell, visibly; that before training
#'   is among them. (With another `save_best_state_metric` in `early_stopping_kwargs`: of each path's best epoch by that
#'   metric.) The model is left as it was at that moment: decoder and dispersions never change by a bit.
#'   [history()] has a first column `path`.
#' @section Errors: `rscvi_model_mismatch` if the model was built for another data set; `rscvi_invalid_argument`, naming
#'   the argument, for the rest.
#' @section Differences from scvi 0.6.8: there the running statistics of the decoder's batch normalisation move as well;
#'   the weight of the KL term rises from 0 within the first 400 epochs of training, which is longer than a path is
#'   (`n_epochs_kl_warmup = 400`); and the model is left with the encoders at the end of the last path.
#' @references scvi 0.6.8, `inference/inference.py`, class `AdapterTrainer`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8, n_latent = 3, seed = 1), dataset)
#' train(trainer, n_epochs = 3, lr = 1e-2, seed = 1)
#' adapter <- AdapterTrainer(model(trainer), dataset, test_set(trainer))
#' train(adapter, n_path = 2, n_epochs = 5, seed = 1)
#' history(adapter)[c("path", "epoch", "elbo_test_set")]
#' @export
AdapterTrainer <- function(model, gene_dataset, posterior_test, frequency = 5, n_iter_kl_warmup = NULL,
                           n_epochs_kl_warmup = NULL, use_cuda = NULL, metrics_to_monitor = NULL, weight_decay = 1e-6,
                           early_stopping_kwargs = NULL, data_loader_kwargs = NULL, batch_size = 128, max_nans = 10,
                           show_progbar = NULL) {
    check_model_of_counts(model)
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    check_class(posterior_test, "posterior_test", "Posterior")
    gene_dataset <- align_to_model(gene_dataset, model)
    check_model_fits(model, gene_dataset)
    # The cells and counts that are read are the posterior's.
    read <- align_to_model(posterior_test@gene_dataset, model)
    check_model_fits(model, read)
    check_adapter_cells(model, gene_dataset, posterior_test)
    options <- trainer_options("test_set", on = "test_set", n_iter_kl_warmup, n_epochs_kl_warmup, use_cuda,
        metrics_to_monitor, check_count(frequency, "frequency"), weight_decay, early_stopping_kwargs,
        data_loader_kwargs, batch_size, max_nans, show_progbar, monitorable_metrics(has_classifier(model)))
    # Each path ends where it was best.
    if (is.null(options$early_stopping$save_best_state_metric)) options$early_stopping$save_best_state_metric <- "elbo"
    trainer <- new_trainer("AdapterTrainer", model, gene_dataset, options,
        list(test_set = posterior_test@indices))
    trainer@state$gene_dataset <- read
    trainer@state$corrupted <- posterior_test@use_corrupted
    trainer@state$encoders <- encoder_weights(model)
    trainer
}

encoder_names <- c("z_encoder", "l_encoder")

encoder_weights <- function(model) {
    weights <- state_dict(model)
    weights[sub("[.].*", "", names(weights)) %in% encoder_names]
}

check_adapter_cells <- function(model, dataset, post) {
    if (!identical(dimnames(post@gene_dataset@counts), dimnames(dataset@counts))) {
        abort_rscvi(c("{.arg posterior_test} is of another data set than {.arg gene_dataset}: genes or cells differ.",
            i = "Give {.code posterior_test@gene_dataset} as {.arg gene_dataset}."))
    }
    least <- 5L  # whose mean says something, see trainer.cpp
    if (nb_cells(post) < least) {
        abort_rscvi(c("{.arg posterior_test} has {nb_cells(post)} cell{?s}; at least {least} are needed.",
            i = "Lower {.arg train_size} of the trainer that it comes from."))
    }
    unknown <- sum(is.na(posterior_labels(post)))
    if (has_classifier(model) && unknown > 0L) {
        abort_rscvi(c("{unknown} cell{?s} of {.arg posterior_test} {?has/have} no label, which a
            {.cls {class(model)}} needs here.", i = "Leave such cells out: {.fn update_sampler_indices}."))
    }
}

#' @rdname AdapterTrainer
#' @param trainer an `AdapterTrainer()`; **it is changed in place**.
#' @param n_path number of paths, each from the encoders as they were.
#' @param n_epochs,lr,eps,seed,verbose see [train()]; `seed` decides all paths.
#' @export
setMethod("train", "AdapterTrainer", function(trainer, n_epochs = 50, lr = 1e-3, eps = 0.01, seed = NULL,
                                              verbose = NULL, n_path = 10) {
    # The generic's default would come before this method's.
    n_epochs <- if (missing(n_epochs)) 50L else check_count(n_epochs, "n_epochs", lower = 0L)
    n_path <- check_count(n_path, "n_path", lower = 1L)
    seeds <- with_r_seed(seed, sample.int(.Machine$integer.max, n_path))
    model <- trainer@model
    histories <- vector("list", n_path)
    best <- list(elbo = Inf, encoders = NULL)
    for (path in seq_len(n_path)) {
        load_encoders(model, trainer@state$encoders)
        result <- run_training(trainer, n_epochs, lr, eps, seeds[path], verbose)
        histories[[path]] <- cbind(path = path, result$history)
        trainer@state$history <- do.call(rbind, histories[seq_len(path)])
        reached <- elbo_of_best(result)
        if (reached < best$elbo) best <- list(elbo = reached, encoders = encoder_weights(model))
        if (result$status %in% c("diverged", "interrupted")) report_training(result, n_epochs, lr)
        if (result$status == "interrupted") break
    }
    if (!is.null(best$encoders)) load_encoders(model, best$encoders)
    best$elbo
})

# Of the epoch whose weights the model has now: that which did best by the metric that was asked for.
elbo_of_best <- function(result) {
    elbo <- result$history$elbo_test_set[match(result$best_epoch, result$history$epoch)]
    if (is.na(elbo)) Inf else elbo
}

load_encoders <- function(model, encoders) load_state_dict(model, utils::modifyList(state_dict(model), encoders))
