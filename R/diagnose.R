# Is a fit to be believed? The checks, each a row or two of the table, are in diagnose-likelihood.R, -library.R,
# -predictive.R, -latent.R and -training.R, the picture in diagnose-plot.R. What they compute: ?diagnose.

#' Is this fit to be believed?
#'
#' Holds a fitted model against what a useless one would do, against the data, and against itself; says of each check in
#' plain words how it went and what to do. `plot()` draws what the checks looked at.
#'
#' @details
#' `value` is held against `reference`; the verdict is "ok" up to the first limit, "warn" up to the second, then "bad".
#' What cannot be told is "unknown", and `meaning` says why. Nats are per cell; \eqn{t_i} is the total of cell i.
#'
#' * **held-out likelihood**: the mean of \eqn{-\ln p(x_i)} over held-out cells ([marginal_ll()], `n_mc_samples` draws;
#'   nats) against the same of [null_model()] of the training cells. ok: at most .99 of it, and below it by more than
#'   two standard errors of the difference; bad: above it by more than two; warn: between.
#' * **train/test gap**: [elbo()] minus the null model's \eqn{-\ln p(x_i)}, mean over held-out cells, less the same mean
#'   over training cells (nats), against 0. Less two of its standard errors, ok: at most 5 % of the held-out cells'
#'   ELBO; warn: 15 %.
#' * **library bias** and **library noise**: mean and standard deviation over cells of the logarithm of the total that
#'   the model expects, less \eqn{\ln t_i}. That logarithm is \eqn{E_q[l_i]}; of a `"zinb"` model, whose dropout takes
#'   some of the counts, that of \eqn{\sum_g \mu_{ig} (1 - \pi_{ig})} at the means of q (of up to 300 cells). Bias
#'   against 0; ok: .1 either way; warn: .25. Noise against \eqn{\sqrt{\textrm{mean}(1/t_i)}}, what a total of
#'   \eqn{t_i} is uncertain by itself. ok: a variance of \eqn{.15^2} above that; warn: \eqn{.5^2}.
#' * **predictive zeros**: the mean over genes of the absolute difference between the share of zeros among drawn counts
#'   and among the counts, against what chance alone gives. ok: .02 above it; warn: .05.
#' * **predictive mean**: the median over genes of |log2(mean drawn / mean counted)|, against what chance alone gives.
#'   ok: .25 above it; warn: .75.
#' * **genes off**: the number of genes with |log2(mean drawn / mean counted)| above 1 plus four standard errors, as
#'   chance alone gives them; the worst five are named. ok: none; warn: at most 2 % of the genes looked at.
#' * **predictive variance**: the median over genes of log2(variance drawn / variance counted), against 0. ok: .5 either
#'   way; warn: 1.5.
#' * **active dimensions**: the number of latent dimensions in which \eqn{E_q[z]} has a variance over cells above .01
#'   (Burda et al. 2016, section 5), against `n_latent`. ok: half of them; warn: 2.
#' * **convergence**: the change along a straight line through the last quarter of the history (five values at least),
#'   in percent of its mean, of the negative ELBO of held-out cells if it was recorded, else of training cells, else of
#'   the loss; against 0. ok: 1 % either way, or twice its standard error; warn: 5 %. Where log dispersions rested at
#'   first (`n_iter_fixed_dispersion`), the curve falls once more when they begin to learn: of the history since then,
#'   or, if it has fewer than ten values, until then. A learning rate that falls to 0 levels any curve.
#' * **KL weight**: the weight of the KL term in the last epoch, against `max_kl_weight`. ok: 95 % of it, or one
#'   epoch's rise below it (a warm-up over n epochs reaches (n - 1)/n at the start of the last); warn: half.
#' * **batch mixing**: [entropy_batch_mixing()] of \eqn{E_q[z]} over all cells looked at, with 50 neighbours (a tenth of
#'   the cells, if that is less), against what it is on average if batches are dealt to the cells at random (numbers of
#'   neighbours of each batch are then hypergeometric). ok: half of it; warn: a fifth.
#'
#' The gap is taken from the null model, so that held-out cells that happen to be larger do not look like overfitting.
#' Standard errors are those of the means of up to 20 parts of the cells. Drawn counts are those of [generate()], S = 3
#' draws a cell, and at least 30 cells are needed; genes with a mean below .1 are left out. Chance alone gives, for a
#' gene of mean m, variance v and share of zeros p over n cells, a mean absolute difference of zeros of
#' \eqn{\sqrt{2/\pi}\sqrt{p(1-p)(1+1/S)/n}}, and a median absolute difference of log2 means of
#' \eqn{.6745\sqrt{v(1+1/S)/n}/(m \ln 2)}; these are upper bounds, as cells differ by more than chance.
#'
#' # Where the limits come from
#' That of dimensions is the reference's. Library: fits in `bench/QUALITY.md` that beat the null model by 8 % and more
#' are wrong by .07 at most on average and .12 from cell to cell; those that lose to it by .4 and .9. Likelihood: 1 % is
#' little beside these 8 %. The others are conventions: differences that change what one reads off a figure (5 % of
#' zeros, a factor of 1.2 in a mean, of 1.4 in a variance).
#' A verdict is where to look, and no proof.
#'
#' @param x a [Posterior()]; a trainer; or the `SingleCellExperiment` that [runSCVI()] returned.
#' @param train_indices,test_indices of a posterior: cells of its data set that were trained on, and that were held out
#'   (indices, a mask or names). `NULL`: as the model's last [train()] split them (the test set, or without one the
#'   validation set), which [saveRDS()] keeps and [save_posterior()] does not.
#' @param history of a posterior: `NULL`, or a data.frame as [history()] gives it.
#' @param name of the fit in a `SingleCellExperiment`, see [posterior()].
#' @param n_cells number of cells of each set, at random, to take likelihoods of. Draws of counts look at up to 300
#'   cells, and the latent space and the library at up to 3,000 of `indices(post)`; the null model is fitted to up to
#'   20,000.
#' @param n_mc_samples number of draws a cell of the held-out likelihood.
#' @param seed integer that decides what is random; `NULL` draws one from R's generator.
#' @param ... arguments of the methods.
#' @return A data.frame of class `rscvi_diagnosis` with one row a check and the columns `check`, `value`, `reference`,
#'   `verdict` (`"ok"`, `"warn"`, `"bad"`, `"unknown"`), `meaning` (a sentence) and `advice` (what to do; `""` where
#'   nothing is to be done). `plot()`: a ggplot.
#' @section Memory: never cells x genes at once: counts are read, decoded and drawn for a bounded number of cells at a
#'   time. Of 20,000 cells x 2,000 genes it took 310 MB above what was there before, garbage of R included. Time does
#'   not grow with the number of cells beyond 20,000; it does with the genes, `n_cells` and `n_mc_samples`.
#' @section Errors: `rscvi_empty_posterior` without cells; `rscvi_no_fit`; `rscvi_invalid_argument`, naming the
#'   argument. A check that fails is "unknown", and not an error.
#' @references Burda et al. (2016) Importance weighted autoencoders. *ICLR*. Gelman et al. (1996) Posterior predictive
#'   assessment of model fitness via realized discrepancies. *Statistica Sinica* 6:733-807.
#' @examples
#' sce <- runSCVI(example_pbmc(), batch = "batch", n_epochs = 4, n_hidden = 32, frequency = 1, seed = 1)
#' checks <- diagnose(sce, seed = 1)
#' checks
#' as.data.frame(checks)[c("check", "value", "reference", "verdict")]
#' plot(checks)
#' @name diagnose
#' @aliases print.rscvi_diagnosis
NULL

#' @rdname diagnose
#' @export
setMethod("diagnose", "Posterior", function(x, train_indices = NULL, test_indices = NULL, history = NULL,
                                            n_cells = 300, n_mc_samples = 50, seed = NULL) {
    check_model_of_counts(x@model, "The model of this posterior")
    known <- recall_training(x)
    if (!is.null(train_indices) || !is.null(test_indices)) {
        sets <- split_cells(x@gene_dataset, 1, NULL, train_indices, test_indices, 0)
        known$set <- name_sets(sets, nb_cells(x@gene_dataset))
    }
    if (!is.null(history)) known$history <- check_class(history, "history", "data.frame")
    diagnose_posterior(x, known, n_cells, n_mc_samples, seed)
})

#' @rdname diagnose
#' @export
setMethod("diagnose", "Trainer", function(x, n_cells = 300, n_mc_samples = 50, seed = NULL) {
    check_model_of_counts(x@model, "The model of this trainer")
    known <- list(set = name_sets(x@sets, nb_cells(x@gene_dataset)), history = history(x), options = x@options,
        n_iter = x@state$n_iter)
    known$set[training_cells(x)] <- "train_set"
    diagnose_posterior(create_posterior(x), known, n_cells, n_mc_samples, seed)
})

#' @rdname diagnose
#' @export
setMethod("diagnose", "ANY", function(x, name = NULL, n_cells = 300, n_mc_samples = 50, seed = NULL) {
    if (!is_summarized(x)) {
        abort_rscvi(c("{.arg x} must be a {.cls Posterior}, a trainer, or a {.cls SingleCellExperiment} that
            {.fn runSCVI} returned, not {describe_value(x)}.",
            i = if (methods::is(x, "SCVIEnsemble")) "Ask each of its {.fn posteriors}."))
    }
    x <- as_single_cell(x)
    name <- resolve_fit_name(x, name)
    fit <- stored_fit(x, name, "x")
    post <- posterior(x, name)
    set <- as.character(SingleCellExperiment::int_colData(x)[[fit_key(name)]]$set)
    # Of semi-supervised training: it goes through all cells, labelled or not.
    set[set %in% c("full_dataset", "labelled_set", "unlabelled_set")] <- "train_set"
    known <- list(set = set, history = fit$history, options = fit$options, n_iter = fit$n_iter)
    diagnose_posterior(post, known, n_cells, n_mc_samples, seed)
})

# The set of each cell, of a list of sets.
name_sets <- function(sets, n) {
    set <- rep("other", n)
    for (name in intersect(c("validation_set", "test_set", "train_set"), names(sets))) set[sets[[name]]] <- name
    set
}

most_cells_drawn <- 300L
most_cells_encoded <- 3000L
most_cells_of_null <- 20000L
# Of the mean of a latent space that has none in closed form.
n_latent_draws <- 100L

# `known`: `set`, of each cell of the data set, `history`, the trainer's `options` and how many minibatches it has seen;
# or `reason`, why they are not known.
diagnose_posterior <- function(post, known, n_cells, n_mc_samples, seed) {
    n_cells <- check_count(n_cells, "n_cells", lower = 10L)
    n_mc_samples <- check_count(n_mc_samples, "n_mc_samples", lower = 1L)
    check_has_cells(post@indices)
    # Of those that a seed may be.
    seeds <- split_seed(seed, 6L) %% 1e9
    sets <- with_r_seed(seeds[1L], choose_sets(post, known, n_cells))
    encoded <- update_sampler_indices(post, with_r_seed(seeds[2L], some_of(post@indices, most_cells_encoded)))
    drawn <- update_sampler_indices(post, utils::head(encoded@indices, most_cells_drawn))
    latent <- attempt(latent_matrix(encoded, n_samples = n_latent_draws, seed = seeds[3L]))
    # Dropout is decoded gene by gene: of fewer cells.
    library <- attempt(library_errors(if (has_dropout(post)) drawn else encoded))
    genes <- attempt(predictive_statistics(drawn, seeds[4L]))
    null <- attempt(null_of_sets(post, sets))
    table <- rbind(
        checked("held-out likelihood", check_held_out(post, sets, null, n_mc_samples, seeds[5L])),
        checked("train/test gap", check_gap(post, sets, null, seeds[6L])),
        checked(c("library bias", "library noise"),
            check_library(needed(library), post@model@options$library == "latent")),
        checked(predictive_checks, check_predictive(needed(genes), post)),
        checked("active dimensions", check_active(needed(latent), post)),
        checked("convergence", check_convergence(known)),
        checked("KL weight", check_kl_weight(known)),
        checked("batch mixing", check_mixing(needed(latent), encoded))
    )
    attr(table, "pictured") <- list(genes = if (is.data.frame(genes)) genes,
        library = if (is.data.frame(library)) library,
        latent = if (is.matrix(latent)) apply(latent, 2L, stats::var), history = known$history)
    class(table) <- c("rscvi_diagnosis", "data.frame")
    table
}

# So many of the cells, in random order. sample() takes a single number for a range.
shuffled <- function(x, n) x[sample.int(length(x), min(n, length(x)))]
some_of <- function(x, n) if (length(x) > n) shuffled(x, n) else x

# Cells of the data set to look at: held out, trained on, and those that the null model is fitted to.
choose_sets <- function(post, known, n_cells) {
    if (is.null(known$set)) return(list(reason = known$reason))
    trained <- which(known$set == "train_set")
    test <- which(known$set == "test_set")
    if (length(test) == 0L) test <- which(known$set == "validation_set")
    least <- 10L
    if (length(trained) < least) return(list(reason = "none, or next to none, of the cells at hand were trained on"))
    if (length(test) < least) {
        return(list(reason = if (length(test)) sprintf("only %d cell%s held out, 10 are needed", length(test),
            if (length(test) == 1L) " was" else "s were") else "no cells were held out from training"))
    }
    list(test = shuffled(test, n_cells), train = shuffled(trained, n_cells),
        null = some_of(trained, most_cells_of_null))
}

# One row of the table.
finding <- function(check, value, reference, verdict, meaning, advice = "") {
    data.frame(check = check, value = as.numeric(value), reference = as.numeric(reference), verdict = verdict,
        meaning = meaning, advice = if (verdict %in% c("warn", "bad", "unknown")) advice else "")
}

not_known <- function(check, reason, advice = "", reference = NA) {
    finding(check, NA, reference, "unknown", sprintf("Cannot be told: %s.", reason), advice)
}

# Below the first limit "ok", below the second "warn".
verdict_by <- function(x, ok, warn) {
    if (!is.finite(x)) "bad" else if (x <= ok) "ok" else if (x <= warn) "warn" else "bad"
}

# What cannot be computed makes its lines "unknown": the error's first sentence in place of the result.
attempt <- function(expr) {
    tryCatch(expr, error = function(e) {
        sub("[.:]?$", "", strsplit(cli::ansi_strip(conditionMessage(e)), "\n")[[1L]][1L])
    })
}

# What attempt() gave, or its error again.
needed <- function(result) if (is.character(result)) stop(result, call. = FALSE) else result

checked <- function(checks, rows) {
    rows <- attempt(rows)
    if (is.data.frame(rows)) rows else do.call(rbind, lapply(checks, not_known, reason = rows))
}

#' @export
print.rscvi_diagnosis <- function(x, ...) {
    if (!all(c("check", "value", "reference", "verdict", "meaning", "advice") %in% names(x))) {
        return(invisible(print(as.data.frame(x), ...)))
    }
    symbols <- c(ok = cli::col_green(cli::symbol$tick), warn = cli::col_yellow("!"),
        bad = cli::col_red(cli::symbol$cross), unknown = cli::col_grey("?"))
    cat(sprintf("Is this fit to be believed? %s\n", verdict_counts(x)))
    for (k in seq_len(nrow(x))) {
        cat(sprintf("\n%s %-20s %-8s", symbols[[x$verdict[k]]], x$check[k], x$verdict[k]))
        if (!is.na(x$value[k])) cat(sprintf("%s (%s)", format(x$value[k], digits = 3), reference_text(x$reference[k])))
        cat("\n")
        writeLines(strwrap(x$meaning[k], width = 0.95 * getOption("width"), indent = 2, exdent = 2))
        if (nzchar(x$advice[k])) {
            writeLines(strwrap(paste("->", x$advice[k]), width = 0.95 * getOption("width"), indent = 2, exdent = 5))
        }
    }
    invisible(x)
}

reference_text <- function(reference) {
    if (is.na(reference)) "nothing to hold it against" else paste("against", format(reference, digits = 3))
}

# "8 checks ok, 2 warn, 1 bad, 1 unknown."
verdict_counts <- function(x) {
    counts <- table(factor(x$verdict, levels = c("ok", "warn", "bad", "unknown")))
    counts <- counts[counts > 0]
    what <- names(counts)
    what[1L] <- paste(if (counts[1L] == 1L) "check" else "checks", what[1L])
    paste0(paste(counts, what, collapse = ", "), ".")
}

# The one line after a fit, which is not lost if something fails here.
report_fit <- function(trainer, seed) {
    checks <- attempt(diagnose(trainer, n_cells = 100, n_mc_samples = 25, seed = seed))
    if (is.data.frame(checks)) inform_rscvi(c(i = "{diagnosis_line(checks)} See {.fn diagnose}."), class = "diagnosis")
}

# "Is this fit to be believed? bad: KL weight; warn: batch mixing, convergence; 9 of 12 checks ok."
diagnosis_line <- function(x) {
    troubles <- vapply(c("bad", "warn", "unknown"), function(verdict) {
        these <- x$check[x$verdict == verdict]
        if (length(these)) sprintf("%s: %s; ", verdict, paste(these, collapse = ", ")) else ""
    }, "")
    sprintf("Is this fit to be believed? %s%d of %d checks ok.", paste(troubles, collapse = ""),
        sum(x$verdict == "ok"), nrow(x))
}

#' @export
as.data.frame.rscvi_diagnosis <- function(x, ...) {
    attr(x, "pictured") <- NULL
    class(x) <- "data.frame"
    x
}
