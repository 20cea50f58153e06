# Checks of diagnose() of the course of training: the loss has settled, the KL weight has arrived.

least_epochs_of_slope <- 5L

# The curve that says most, of those recorded.
training_curve <- function(history) {
    history <- history[history$epoch > 0, , drop = FALSE]
    # Of an AdapterTrainer: its last path.
    if (!is.null(history$path)) history <- history[history$path == max(history$path), , drop = FALSE]
    for (column in c("elbo_test_set", "elbo_validation_set", "elbo_train_set", "elbo_full_dataset", "loss")) {
        y <- history[[column]]
        if (sum(is.finite(y)) >= least_epochs_of_slope) {
            return(data.frame(epoch = history$epoch, y = y,
                kl_weight = if (is.null(history$kl_weight)) 1 else history$kl_weight,
                of = column)[is.finite(y), ])
        }
    }
    NULL
}

# The change over the last quarter along a straight line, in percent of the mean, its standard error, and the number of
# epochs that it is over.
last_change <- function(curve) {
    last <- utils::tail(curve, max(least_epochs_of_slope, ceiling(nrow(curve) / 4)))
    fit <- summary(stats::lm(y ~ epoch, last))$coefficients["epoch", ]
    c(100 * fit[1:2] * diff(range(last$epoch)) / abs(mean(last$y)), diff(range(last$epoch)))
}

# The last epoch throughout which log dispersions rested (n_iter_fixed_dispersion): in the next one they begin to learn,
# and the curve falls once more. 0: they never rested.
last_fixed_epoch <- function(known) {
    fixed <- known$options$n_iter_fixed_dispersion
    if (is.null(fixed) || is.null(known$n_iter) || fixed <= 0 || known$n_iter <= 0) return(0)
    floor(min(1, fixed / known$n_iter) * max(known$history$epoch) + 1e-9)
}

# That fall says nothing of how far the rest has come: what is after it, or, where the last values that are looked at
# could be within it, what is before.
one_stretch <- function(curve, last_fixed) {
    after <- curve[curve$epoch > last_fixed, ]
    if (last_fixed <= 0 || nrow(after) %in% c(0L, nrow(curve))) return(list(curve = curve, until = ""))
    if (nrow(after) >= 2L * least_epochs_of_slope) return(list(curve = after, until = ""))
    before <- curve[curve$epoch <= last_fixed, ]
    if (nrow(before) < least_epochs_of_slope) return(list(curve = curve, until = ""))
    list(curve = before, until = sprintf(" to epoch %d, when dispersions began to learn", as.integer(last_fixed)))
}

check_convergence <- function(known) {
    name <- "convergence"
    if (is.null(known$history)) return(not_known(name, "there is no history of its training", reference = 0))
    curve <- training_curve(known$history)
    record <- "Record the ELBO: frequency = 1."
    if (is.null(curve)) {
        return(not_known(name, sprintf("the history has fewer than %d values", least_epochs_of_slope), record, 0))
    }
    of <- curve$of[1L]
    if (of == "loss" && diff(range(utils::tail(curve$kl_weight, ceiling(nrow(curve) / 4)))) > 0) {
        return(not_known(name, "the loss alone was recorded, whose KL term still gained weight", record, 0))
    }
    stretch <- one_stretch(curve, last_fixed_epoch(known))
    change <- suppressWarnings(last_change(stretch$curve))
    within_noise <- is.finite(change[2L]) && abs(change[1L]) <= 2 * change[2L]
    verdict <- if (within_noise) "ok" else verdict_by(abs(change[1L]), 1, 5)
    what <- c(elbo_test_set = "The negative ELBO of held-out cells", loss = "The training loss",
        elbo_validation_set = "The negative ELBO of held-out cells")
    what <- if (of %in% names(what)) what[[of]] else "The negative ELBO of training cells"
    finding(name, change[1L], 0, verdict,
        sprintf("%s %s by %.1f %% over the last %d epochs%s%s.", what, if (change[1L] > 0) "rose" else "fell",
            abs(change[1L]), as.integer(change[3L]), stretch$until, if (within_noise) ", within its noise" else ""),
        if (change[1L] > 0) "It overfits or diverges: early stopping, or a smaller lr." else
            "It has not converged: train for longer (n_epochs).")
}

check_kl_weight <- function(known) {
    name <- "KL weight"
    weight <- known$history$kl_weight
    full <- if (is.null(known$options$max_kl_weight)) 1 else known$options$max_kl_weight
    if (is.null(weight)) {
        reason <- if (is.null(known$history)) "there is no history of its training" else "the history has none"
        return(not_known(name, reason, reference = full))
    }
    # Of the last epoch's start: a weight that rises to the end is a step of the rise below.
    epoch <- known$history$epoch
    n_epochs <- if (is.null(epoch)) Inf else max(1, epoch)
    still_to_rise <- full * max(0.05, 1 / n_epochs)
    weight <- weight[length(weight)]
    finding(name, weight, full, verdict_by(full - weight, still_to_rise, full / 2),
        sprintf("The KL term ended with a weight of %.2f, of %.2f%s.", weight, full,
            if (full - weight > still_to_rise) ": the latent space is looser than it was to be" else ""),
        "The warm-up is longer than the training: a smaller n_epochs_kl_warmup, or more epochs.")
}
