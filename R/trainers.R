# Trainers: which cells are trained on, and for how long.

#' Train a model on a data set, without labels
#'
#' Splits the cells into a training, a test and a validation set, each a [Posterior()]. [train()] does the work.
#'
#' # The split
#' One random order of the n cells: the first `n_test` are the test set, the next `floor(train_size * n)` the training
#' set, the rest the validation set; `n_test` is what training leaves over, or `ceiling(test_size * n)`.
#' `train_indices` and `test_indices` replace the split by one of your own.
#'
#' # Early stopping
#' `early_stopping_kwargs` is a list with any of: `early_stopping_metric` and `save_best_state_metric` (`"elbo"` or
#' `"reconstruction_error"`, computed and recorded after every epoch), `on = "test_set"` (the set that they look at),
#' `patience = 15` (epochs without a gain of at least `threshold = 3` nats after which training stops),
#' `reduce_lr_on_plateau = FALSE` with `lr_patience = 10` and `lr_factor = 0.5`. With `save_best_state_metric` the
#' weights that did best are put back at the end.
#'
#' # Precision
#' With `precision = "bfloat16"` the large dense products of training, with a deep decoder those to the genes, are of
#' numbers with 8 significant bits: what goes in, what comes out, and in the gradients. Weights are kept, and all else
#' is computed, in single precision, and so is whatever is asked of the model afterwards. Products of less than 128
#' cells x 128 units x 256 genes are not rounded, as there is nothing to gain. With 2,000 genes an epoch took .84 of the
#' time (AMD EPYC of 2022), and of two data sets sixteen fits each were as good: held-out -log p 1166.7 and 1166.0 with
#' a standard error of their difference of 12, and 1717 and 1721 with one of 27. A seed gives other numbers than in
#' single precision.
#'
#' # Steps as CUDA graphs
#' To ask a GPU for the many operators of a step one by one can take longer than they take there. With
#' `step_graph = TRUE` a step on a full minibatch is recorded once, and asked for as a whole from then on. A smaller
#' last minibatch of an epoch, and all that is not training, goes on as without it. It takes a LibTorch 2.4 or newer for
#' GPUs, and CUDA's headers when rscvi is built (`CUDA_HOME` says where they are; the output of `configure` says whether
#' they were found). A step that cannot be recorded is an error of class `rscvi_device_error`, after which R has to be
#' started anew. Nobody has run it on a GPU yet: what it gains is not known.
#'
#' @param model a model, see [VAE()].
#' @param gene_dataset a [GeneExpressionDataset()].
#' @param train_size,test_size shares of the cells, see "The split".
#' @param n_iter_kl_warmup,n_epochs_kl_warmup the weight of the KL term of z rises linearly from 0 to 1 over so many
#'   epochs, or if that is `NULL` over so many minibatches, or if both are `NULL` is 1 throughout.
#' @param train_indices,test_indices `NULL`, or the cells of the two sets: indices, a logical mask or names. The cells
#'   in neither are the validation set.
#' @param use_cuda `NULL` uses a GPU if there is one, `TRUE` asks for one, `FALSE` uses the CPU.
#' @param metrics_to_monitor what else to record besides `"elbo"`: `"reconstruction_error"`, and for a model with a
#'   classifier `"accuracy"`.
#' @param frequency record the metrics before training, every so many epochs and at the end; `NULL`: never, but for what
#'   early stopping looks at.
#' @param weight_decay L2 penalty of Adam, added to the gradient.
#' @param early_stopping_kwargs list, see "Early stopping".
#' @param data_loader_kwargs list that may hold `batch_size`.
#' @param batch_size number of cells of a minibatch; a last one of fewer than 3 cells is left out.
#' @param seed integer that decides the split, and only that.
#' @param max_nans so many minibatches in a row without a finite loss end training.
#' @param max_kl_weight what the weight of the KL term of z rises to, or is throughout. 1: what is maximised is the
#'   ELBO, as in scvi 0.6.8; more ties the latent space closer to its prior (beta-VAE: Higgins et al. 2017, ICLR).
#' @param lr_schedule `"constant"`; or `"cosine"`: the learning rate of epoch e of n is
#'   \eqn{lr\,(1 + \cos(\pi (e - 1) / n)) / 2} (Loshchilov & Hutter 2017, ICLR, equation 5 without restarts).
#' @param free_bits nats; the KL term of z becomes \eqn{\sum_k \max(}`free_bits`\eqn{, KL_k)}, with \eqn{KL_k} that of
#'   latent dimension k averaged over the minibatch: a dimension is not pushed below `free_bits` (Kingma et al. 2016,
#'   NeurIPS 29, appendix C.8). 0: none, as in scvi 0.6.8. For models without a classifier.
#' @param lr_dispersion learning rate of the log dispersions of genes, \eqn{\ln\theta}, with an epsilon of 1e-8 of their
#'   Adam; it follows `lr_schedule` and early stopping in proportion. `NULL`: `lr` and `eps` of [train()], as in scvi
#'   0.6.8, with which they stay near where they start, as their gradients are no larger than that `eps`.
#' @param n_iter_fixed_dispersion for so many minibatches of this trainer, those of earlier calls of [train()] included,
#'   log dispersions stay as the model has them, and learn afterwards. If there are not more than so many, they never
#'   learn. 0: they always do, as in scvi 0.6.8.
#' @param precision of large products in training: `"single"`; or `"bfloat16"`, with 8 significant bits, at twice the
#'   speed on processors that know it (AVX512-BF16: AMD's since 2022, Intel's for servers since 2023; elsewhere, and on
#'   a GPU, training is in single precision, with a warning of class `rscvi_no_bfloat16`). See "Precision" of
#'   [UnsupervisedTrainer()].
#' @param step_graph `TRUE`: on a GPU, repeat steps as CUDA graphs, see "Steps as CUDA graphs"; elsewhere training goes
#'   on without, with a warning of class `rscvi_no_step_graph`.
#' @param show_progbar `FALSE` silences the progress bar; `NULL` shows one in interactive sessions.
#'
#' @return An [UnsupervisedTrainer-class] object.
#' @section Errors: `rscvi_model_mismatch` if the model was built for another number of genes, batches or labels;
#'   `rscvi_invalid_argument`, naming the argument, for the rest.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' trainer <- UnsupervisedTrainer(vae, dataset, train_size = 0.8, frequency = 1)
#' trainer <- train(trainer, n_epochs = 2, seed = 1)
#' history(trainer)
#' test_set(trainer)
#' @export
UnsupervisedTrainer <- function(model, gene_dataset, train_size = 0.9, test_size = NULL, n_iter_kl_warmup = NULL,
                                n_epochs_kl_warmup = 400, train_indices = NULL, test_indices = NULL, use_cuda = NULL,
                                metrics_to_monitor = NULL, frequency = NULL, weight_decay = 1e-6,
                                early_stopping_kwargs = NULL, data_loader_kwargs = NULL, batch_size = 128, seed = 0,
                                max_nans = 10, show_progbar = NULL, max_kl_weight = 1, lr_schedule = "constant",
                                free_bits = 0, lr_dispersion = NULL, n_iter_fixed_dispersion = 0,
                                precision = "single", step_graph = FALSE) {
    check_model_of_counts(model)
    check_class(gene_dataset, "gene_dataset", "GeneExpressionDataset")
    gene_dataset <- align_to_model(gene_dataset, model)
    check_model_fits(model, gene_dataset)
    if (has_classifier(model) && anyNA(labels(gene_dataset))) {
        abort_rscvi(c("{.fn UnsupervisedTrainer} gives the model the label of every cell, but
            {sum(is.na(labels(gene_dataset)))} cells have none.",
            i = "{.fn SemiSupervisedTrainer} trains on cells with and without labels."))
    }
    sets <- split_cells(gene_dataset, train_size, test_size, train_indices, test_indices, seed)
    options <- trainer_options(names(sets), on = "test_set", n_iter_kl_warmup, n_epochs_kl_warmup, use_cuda,
        metrics_to_monitor, frequency, weight_decay, early_stopping_kwargs, data_loader_kwargs, batch_size, max_nans,
        show_progbar, monitorable_metrics(has_classifier(model)), max_kl_weight = max_kl_weight,
        lr_schedule = lr_schedule, free_bits = free_bits, lr_dispersion = lr_dispersion,
        n_iter_fixed_dispersion = n_iter_fixed_dispersion, precision = precision, step_graph = step_graph)
    check_dispersion_learns(options, model)
    if (options$free_bits > 0 && has_classifier(model)) {
        abort_rscvi("{.arg free_bits} is for models without a classifier, not for a {.cls {class(model)}}.")
    }
    new_trainer("UnsupervisedTrainer", model, gene_dataset, options, sets)
}

# The options that all trainers have. `on`: the set that early stopping looks at if it is not told another one;
# `metrics`: those that there are, of which the first is always recorded; `threshold`: of early stopping, if it is not
# told one.
trainer_options <- function(set_names, on, n_iter_kl_warmup, n_epochs_kl_warmup, use_cuda, metrics_to_monitor,
                            frequency, weight_decay, early_stopping_kwargs, data_loader_kwargs, batch_size, max_nans,
                            show_progbar, metrics, threshold = 3, max_kl_weight = 1, lr_schedule = "constant",
                            free_bits = 0, lr_dispersion = NULL, n_iter_fixed_dispersion = 0, precision = "single",
                            step_graph = FALSE) {
    if (!is.null(data_loader_kwargs)) {
        batch_size <- check_data_loader_kwargs(data_loader_kwargs, default = batch_size)$batch_size
    }
    early_stopping <- check_early_stopping(early_stopping_kwargs, set_names, on, metrics, threshold)
    lr_schedule <- check_choice(lr_schedule, "lr_schedule", c("constant", "cosine"))
    if (lr_schedule == "cosine" && early_stopping$reduce_lr_on_plateau) {
        abort_rscvi("{.code lr_schedule = \"cosine\"} and {.code reduce_lr_on_plateau} both decide the learning rate:
            give one.")
    }
    list(
        n_iter_kl_warmup = check_optional(n_iter_kl_warmup, "n_iter_kl_warmup", check_count, lower = 0L),
        n_epochs_kl_warmup = check_optional(n_epochs_kl_warmup, "n_epochs_kl_warmup", check_count, lower = 0L),
        use_cuda = check_use_cuda(use_cuda),
        metrics_to_monitor = unique(c(check_metrics(metrics_to_monitor, metrics), early_stopping$early_stopping_metric,
            early_stopping$save_best_state_metric)),
        frequency = check_optional(frequency, "frequency", check_count, lower = 1L),
        weight_decay = check_number(weight_decay, "weight_decay", lower = 0),
        early_stopping = early_stopping,
        batch_size = check_count(batch_size, "batch_size", lower = 3L),
        max_nans = check_count(max_nans, "max_nans", lower = 1L),
        show_progbar = check_optional(show_progbar, "show_progbar", check_flag),
        max_kl_weight = check_number(max_kl_weight, "max_kl_weight", lower = 0, upper_open = TRUE),
        lr_schedule = lr_schedule, free_bits = check_number(free_bits, "free_bits", lower = 0, upper_open = TRUE),
        lr_dispersion = check_optional(lr_dispersion, "lr_dispersion", check_number, lower = 0, lower_open = TRUE,
            upper_open = TRUE),
        n_iter_fixed_dispersion = check_count(n_iter_fixed_dispersion, "n_iter_fixed_dispersion", lower = 0L),
        precision = check_choice(precision, "precision", c("single", "bfloat16")),
        step_graph = check_flag(step_graph, "step_graph")
    )
}

# Where there is no dispersion of genes that has a rate, or a start to stay at.
check_dispersion_learns <- function(options, model) {
    asked <- c(lr_dispersion = !is.null(options$lr_dispersion),
        n_iter_fixed_dispersion = options$n_iter_fixed_dispersion > 0)
    if (!any(asked) || model@options$dispersion != "gene-cell") return(invisible())
    abort_rscvi(c("{.arg {names(asked)[asked][1L]}} does not go with a model of {.code dispersion = \"gene-cell\"},
        where dispersions are an output of the decoder.",
        i = "Leave it out: they learn as the decoder does, at the rate {.arg lr} of {.fn train}."))
}

new_trainer <- function(class, model, gene_dataset, options, sets) {
    state <- new.env(parent = emptyenv())
    state$history <- NULL
    state$n_iter <- 0
    state$corrupted <- FALSE
    methods::new(class,
        model = model, gene_dataset = gene_dataset, options = options, sets = sets, state = state,
        version = as.character(utils::packageVersion("rscvi"))
    )
}

split_cells <- function(gene_dataset, train_size, test_size, train_indices, test_indices, seed) {
    n <- nb_cells(gene_dataset)
    if (is.null(train_indices) && is.null(test_indices)) {
        train_size <- check_number(train_size, "train_size", lower = 0, upper = 1, lower_open = TRUE)
        test_size <- check_optional(test_size, "test_size", check_number, lower = 0, upper = 1, upper_open = TRUE)
        return(core(split_cells_cpp(n, train_size, test_size, resolve_seed(seed))))
    }
    as_cells <- function(x, arg) check_indices(x, arg, n, cell_names(gene_dataset), allow_duplicates = FALSE)
    test <- if (is.null(test_indices)) NULL else as_cells(test_indices, "test_indices")
    train <- if (is.null(train_indices)) setdiff(seq_len(n), test) else as_cells(train_indices, "train_indices")
    if (is.null(test_indices)) test <- setdiff(seq_len(n), train)
    both <- intersect(train, test)
    if (length(both)) {
        abort_rscvi("{.arg train_indices} and {.arg test_indices} share {length(both)} cell{?s}, first {both[1L]}.")
    }
    list(train_set = train, test_set = test, validation_set = setdiff(seq_len(n), c(train, test)))
}

monitorable_metrics <- function(classifies) c("elbo", "reconstruction_error", if (classifies) "accuracy")

check_metrics <- function(x, choices) {
    for (metric in x) check_choice(metric, "metrics_to_monitor", choices)
    unique(c(choices[1L], x))
}

# Complete settings of early stopping; the names and defaults of scvi 0.6.8.
check_early_stopping <- function(x, sets, on, metrics, threshold = 3) {
    settings <- list(
        early_stopping_metric = NULL, save_best_state_metric = NULL, on = on, patience = 15L, threshold = threshold,
        reduce_lr_on_plateau = FALSE, lr_patience = 10L, lr_factor = 0.5
    )
    if (is.null(x)) return(settings)
    if (!is.list(x) || (length(x) && is.null(names(x)))) {
        abort_rscvi("{.arg early_stopping_kwargs} must be a named list, not {describe_value(x)}.")
    }
    known <- c("early_stopping_metric", "save_best_state_metric", "on", "patience", "threshold",
        "reduce_lr_on_plateau", "lr_patience", "lr_factor")
    unknown <- setdiff(names(x), known)
    if (length(unknown)) {
        abort_rscvi(c("{.arg early_stopping_kwargs} has unknown element{?s} {.field {unknown}}.",
            i = "It may hold {.field {known}}."))
    }
    settings[names(x)] <- x
    name <- function(what) paste0("early_stopping_kwargs$", what)
    metric <- function(what) {
        check_optional(settings[[what]], name(what), check_choice, choices = metrics)
    }
    list(
        early_stopping_metric = metric("early_stopping_metric"),
        save_best_state_metric = metric("save_best_state_metric"),
        on = check_choice(settings$on, name("on"), sets),
        patience = check_count(settings$patience, name("patience"), lower = 0L),
        threshold = check_number(settings$threshold, name("threshold")),
        reduce_lr_on_plateau = check_flag(settings$reduce_lr_on_plateau, name("reduce_lr_on_plateau")),
        lr_patience = check_count(settings$lr_patience, name("lr_patience"), lower = 1L),
        lr_factor = check_number(settings$lr_factor, name("lr_factor"), lower = 0, upper = 1, lower_open = TRUE)
    )
}

setMethod("show", "Trainer", function(object) {
    sizes <- lengths(object@sets)
    cat(sprintf("%s of a %s on %d cells\n", class(object), class(object@model), nb_cells(object@gene_dataset)))
    cat(sprintf("  cells: %s\n", paste(sprintf("%s %d", names(sizes), sizes), collapse = ", ")))
    done <- object@state$history
    if (is.null(done)) {
        cat("  not trained yet\n")
    } else {
        last <- done[nrow(done), ]
        cat(sprintf("  trained for %d epochs (%d minibatches), last training loss %.2f\n",
            as.integer(last$epoch), as.integer(object@state$n_iter), last$loss))
    }
    if (object@state$corrupted) cat("  on corrupted counts\n")
    invisible(object)
})

#' What a trainer holds
#'
#' @param trainer a trainer, see [UnsupervisedTrainer()].
#' @param max.show a trainer, too: `history(trainer)`; or a `SingleCellExperiment` that [runSCVI()] or [runSCANVI()]
#'   returned. With anything else, and without arguments, `history()` shows the commands of this R session, as
#'   [utils::history()] does.
#' @param name of the fit in a `SingleCellExperiment`, see [posterior()].
#' @param reverse,pattern,... for commands alone, see [utils::history()].
#' @return `model()`: the model. `history()`: a data.frame with one row an epoch of the last call of [train()]: `epoch`
#'   (0 is before training), `loss` (mean over the epoch's minibatches), `kl_weight`, `lr`, and one column for each
#'   metric and set such as `elbo_test_set`, `NA` in epochs in which it was not computed; `NULL` before training.
#'   `train_set()`, `test_set()`, `validation_set()`, and of a [SemiSupervisedTrainer()] `full_dataset()`,
#'   `labelled_set()`, `unlabelled_set()`: a [Posterior()] of those cells, on the corrupted counts while the
#'   trainer is corrupted.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8), dataset)
#' nb_cells(train_set(trainer))
#' model(trainer)
#' @name trainer-accessors
NULL

#' @rdname trainer-accessors
#' @export
setMethod("model", "Trainer", function(object) object@model)

#' @rdname trainer-accessors
#' @export
setMethod("history", "Trainer", function(max.show = 25, reverse = FALSE, pattern, ...) max.show@state$history)

#' @rdname trainer-accessors
#' @export
setMethod("history", "ANY", function(max.show = 25, reverse = FALSE, pattern, ..., name = NULL) {
    if (!missing(max.show) && is_summarized(max.show)) {
        x <- as_single_cell(max.show, "trainer")
        return(stored_fit(x, resolve_fit_name(x, name), "trainer")$history)
    }
    if (!missing(max.show) && isS4(max.show)) check_class(max.show, "trainer", "Trainer")
    utils::history(max.show, reverse, pattern, ...)
})

#' @rdname trainer-accessors
#' @export
train_set <- function(trainer) trainer_posterior(trainer, "train_set")

#' @rdname trainer-accessors
#' @export
test_set <- function(trainer) trainer_posterior(trainer, "test_set")

#' @rdname trainer-accessors
#' @export
validation_set <- function(trainer) trainer_posterior(trainer, "validation_set")

#' @rdname trainer-accessors
#' @export
full_dataset <- function(trainer) trainer_posterior(trainer, "full_dataset")

#' @rdname trainer-accessors
#' @export
labelled_set <- function(trainer) trainer_posterior(trainer, "labelled_set")

#' @rdname trainer-accessors
#' @export
unlabelled_set <- function(trainer) trainer_posterior(trainer, "unlabelled_set")

trainer_posterior <- function(trainer, set) {
    check_class(trainer, "trainer", "Trainer")
    if (!set %in% names(trainer@sets)) {
        abort_rscvi("A {.cls {class(trainer)}} has no {.fn {set}}; it has {.fn {names(trainer@sets)}}.")
    }
    create_posterior(trainer, indices = trainer@sets[[set]])
}

#' A posterior of a trainer's model
#'
#' @param trainer a trainer, see [UnsupervisedTrainer()].
#' @param model,gene_dataset taken from the trainer if `NULL`.
#' @param shuffle,indices see [Posterior()].
#' @return A [Posterior()] with the trainer's batch size and device.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8), dataset)
#' create_posterior(trainer, indices = 1:10)
#' @export
create_posterior <- function(trainer, model = NULL, gene_dataset = NULL, shuffle = FALSE, indices = NULL) {
    check_class(trainer, "trainer", "Trainer")
    arguments <- list(
        if (is.null(model)) trainer@model else model,
        if (is.null(gene_dataset)) current_dataset(trainer) else gene_dataset,
        shuffle = shuffle, indices = indices, use_cuda = trainer@options$use_cuda,
        data_loader_kwargs = list(batch_size = trainer@options$batch_size)
    )
    post <- if (is_classifier(trainer@model)) {
        do.call(ClassifierPosterior, c(arguments, list(sampling_model = trainer@sampling_model,
            sampling_zl = trainer@options$classifier$sampling_zl)))
    } else {
        do.call(Posterior, arguments)
    }
    if (trainer@state$corrupted) corrupted(post) else post
}
