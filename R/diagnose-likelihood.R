# Checks of diagnose() by likelihood: held-out and training cells beside the null model.

nats <- function(x) format(round(x, if (abs(x) < 100) 1L else 0L), nsmall = 0L, big.mark = ",")

# Counts that the posterior reads.
counts_read <- function(post) if (post@use_corrupted) corrupted_counts(post@gene_dataset) else post@gene_dataset@counts

# -ln p of the null model, of each cell that is looked at.
null_of_sets <- function(post, sets) {
    if (!is.null(sets$reason)) return(NULL)
    counts <- counts_read(post)
    null <- fit_null_model(counts, sets$null)
    list(test = unname(null_losses(null, counts, sets$test)), train = unname(null_losses(null, counts, sets$train)))
}

most_parts <- 20L

# Mean of a loss over cells, which are in random order; its difference to that of the null model, and the standard error
# of that. The core gives means over cells: those of parts of them say how much they vary.
beside_null <- function(post, cells, null, seed, loss) {
    parts <- split(seq_along(cells), rep_len(seq_len(min(most_parts, length(cells))), length(cells)))
    of_part <- vapply(seq_along(parts), function(p) {
        loss(update_sampler_indices(post, cells[parts[[p]]]), seed = seed + p)
    }, 0)
    difference <- of_part - vapply(parts, function(part) mean(null[part]), 0)
    weight <- lengths(parts) / length(cells)
    list(value = sum(weight * of_part), difference = sum(weight * difference),
        error = stats::sd(difference) / sqrt(length(parts)))
}

check_held_out <- function(post, sets, null, n_mc_samples, seed) {
    name <- "held-out likelihood"
    if (!is.null(sets$reason)) return(not_known(name, sets$reason, hold_out))
    null <- needed(null)$test
    likelihood <- function(...) marginal_ll(..., n_mc_samples = n_mc_samples)
    model <- attempt(beside_null(post, sets$test, null, seed, likelihood))
    null <- mean(null)
    if (is.character(model)) return(not_known(name, model, reference = null))
    differs <- abs(model$difference) > 2 * model$error
    verdict <- if (!is.finite(model$value)) "bad" else if (model$value <= 0.99 * null && differs) "ok" else
        if (model$value > null && differs) "bad" else "warn"
    finding(name, model$value, null, verdict,
        sprintf(paste("A held-out cell surprises the model with %s nats, a null model that knows one share per gene",
            "with %s: %.1f %% %s, give or take %.1f (%d cells)."), nats(model$value), nats(null),
            100 * abs(model$difference) / null, if (model$difference <= 0) "less" else "more", 100 * model$error / null,
            length(sets$test)),
        if (isTRUE(model$value <= 0.99 * null)) {
            "The difference may be chance: more held-out cells would tell. See the library below."
        } else {
            paste("The model has learnt no more of the counts than a table of means, or next to nothing. See the",
                "library and the KL weight below; train for longer; with few cells use fewer genes.")
        })
}

hold_out <- "Hold cells out: train_size below 1, or give test_indices."

check_gap <- function(post, sets, null, seed) {
    name <- "train/test gap"
    if (!is.null(sets$reason)) return(not_known(name, sets$reason, hold_out))
    null <- needed(null)
    test <- beside_null(post, sets$test, null$test, seed, elbo)
    train <- beside_null(post, sets$train, null$train, seed + most_parts, elbo)
    gap <- test$difference - train$difference
    error <- sqrt(test$error^2 + train$error^2)
    finding(name, gap, 0, verdict_by((gap - 2 * error) / abs(test$value), 0.05, 0.15),
        sprintf(paste("Beside the null model, held-out cells are explained %s nats %s than training cells, give or",
            "take %s (%.1f %% of %s)."), nats(abs(gap)), if (gap > 0) "worse" else "better", nats(error),
            100 * abs(gap / test$value), nats(test$value)),
        paste("The model learns its training cells by heart. Stop earlier (early_stopping_kwargs), make it smaller",
            "(n_hidden, n_latent), or give it more cells."))
}
