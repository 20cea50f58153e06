# The checks of diagnose(), each a row or two of its table. What they compute and their limits: ?diagnose.

nats <- function(x) format(round(x, if (abs(x) < 100) 1L else 0L), nsmall = 0L, big.mark = ",")

# Counts that the posterior reads.
counts_read <- function(post) if (post@use_corrupted) corrupted_counts(post@gene_dataset) else post@gene_dataset@counts

check_held_out <- function(post, sets, n_mc_samples, seed) {
    name <- "held-out likelihood"
    if (!is.null(sets$reason)) return(not_known(name, sets$reason, hold_out))
    counts <- counts_read(post)
    null <- mean(null_losses(fit_null_model(counts, sets$null), counts, sets$test))
    held_out <- update_sampler_indices(post, sets$test)
    value <- attempt(marginal_ll(held_out, n_mc_samples, seed = seed))
    if (is.character(value)) return(not_known(name, value, reference = null))
    finding(name, value, null, verdict_by(value / null, 0.99, 1),
        sprintf(paste("A held-out cell surprises the model with %s nats, a null model that knows one share per gene",
            "with %s: %.1f %% %s (%d cells)."), nats(value), nats(null), 100 * abs(1 - value / null),
            if (value <= null) "less" else "more", length(sets$test)),
        paste("The model has learnt no more of the counts than a table of means. Train for longer; see the library and",
            "the KL weight below; with few cells use fewer genes."))
}

hold_out <- "Hold cells out: train_size below 1, or give test_indices."

check_gap <- function(post, sets, seed) {
    name <- "train/test gap"
    if (!is.null(sets$reason)) return(not_known(name, sets$reason, hold_out))
    counts <- counts_read(post)
    null <- fit_null_model(counts, sets$null)
    loss <- function(cells) attempt(elbo(update_sampler_indices(post, cells), seed = seed))
    test <- loss(sets$test)
    train <- loss(sets$train)
    if (is.character(test) || is.character(train)) return(not_known(name, if (is.character(test)) test else train))
    gap <- (test - mean(null_losses(null, counts, sets$test))) - (train - mean(null_losses(null, counts, sets$train)))
    finding(name, gap, 0, verdict_by(gap / abs(test), 0.05, 0.15),
        sprintf("Beside the null model, held-out cells are explained %s nats %s than training cells (%.1f %% of %s).",
            nats(abs(gap)), if (gap > 0) "worse" else "better", 100 * abs(gap / test), nats(test)),
        paste("The model learns its training cells by heart. Stop earlier (early_stopping_kwargs), make it smaller",
            "(n_hidden, n_latent), or give it more cells."))
}

# E[l] - ln(total) of the cells. Noise of 0 makes the draw the mean.
library_errors <- function(post) {
    total <- Matrix::colSums(counts_read(post)[, post@indices, drop = FALSE])
    mean <- unname(get_stats(post, noise = list(library = rep(0, nb_cells(post))), seed = 0))
    data.frame(log_total = log(unname(total)), library = mean)[total > 0, , drop = FALSE]
}

check_library <- function(post, library) {
    if (post@model@options$library == "observed") {
        return(rbind(
            finding("library bias", 0, 0, "ok", "The library size is the observed one."),
            finding("library noise", 0, 0, "ok", "The library size is the observed one.")
        ))
    }
    errors <- library$library - library$log_total
    bias <- mean(errors)
    noise <- if (length(errors) > 1L) stats::sd(errors) else NA_real_
    advice <- paste("Use the observed library size (library = \"observed\"), or train for longer: what the encoder of",
        "the library gets wrong, likelihoods and drawn counts have wrong, too.")
    rbind(
        finding("library bias", bias, 0, verdict_by(abs(bias), 0.05, 0.25),
            sprintf("The model takes cells to be %.2f times as large as they are.", exp(bias)), advice),
        if (is.na(noise)) not_known("library noise", "there is one cell") else
            finding("library noise", noise, 0, verdict_by(noise, 0.15, 0.5),
                sprintf("From cell to cell the library size is off by a factor of about %.2f.", exp(noise)), advice)
    )
}

n_predictive_draws <- 3L
# Numbers of counts drawn at a time: of cells x genes x draws.
predictive_block_size <- 2^21
least_predictive_mean <- 0.1

# Of each gene: mean, variance and share of zeros of the counts, and of counts that the model draws for the same cells.
predictive_statistics <- function(post, seed, block_size = predictive_block_size) {
    n <- nb_cells(post)
    step <- max(1L, as.integer(block_size %/% (nb_genes(post@gene_dataset) * (n_predictive_draws + 2))))
    blocks <- split(post@indices, (seq_len(n) - 1L) %/% step)
    sums <- Reduce(`+`, lapply(seq_along(blocks), function(b) {
        drawn <- generate(update_sampler_indices(post, blocks[[b]]), n_samples = n_predictive_draws, batch_size = step,
            seed = seed + b)
        x <- drawn$x_new
        # Cells and draws of a gene lie apart: they are summed over in turn.
        over <- function(x) rowSums(colSums(x, dims = 1L))
        # Integers overflow when squared; a square of doubles keeps the dimensions.
        cbind(colSums(drawn$x_old), colSums(drawn$x_old^2), colSums(drawn$x_old == 0), over(x), over((x + 0)^2),
            over(x == 0))
    }))
    of <- function(first, n) {
        mean <- sums[, first] / n
        data.frame(mean = mean, variance = pmax(0, sums[, first + 1L] / n - mean^2), zeros = sums[, first + 2L] / n)
    }
    table <- cbind(data = of(1L, n), model = of(4L, n * n_predictive_draws))
    attr(table, "n_cells") <- n
    table
}

check_predictive <- function(genes, post) {
    checks <- c("predictive zeros", "predictive mean", "predictive variance")
    if (is.character(genes)) return(do.call(rbind, lapply(checks, not_known, reason = genes)))
    zeros <- mean(abs(genes$model.zeros - genes$data.zeros))
    p <- genes$data.zeros
    chance <- mean(sqrt(2 / pi * p * (1 - p) * (1 + 1 / n_predictive_draws) / attr(genes, "n_cells")))
    more <- mean(genes$model.zeros - genes$data.zeros) > 0
    rows <- finding(checks[1L], zeros, chance, verdict_by(zeros - chance, 0.02, 0.05),
        sprintf(paste("The share of zeros of a gene is off by %.3f on average, chance alone gives %.3f; the model draws",
            "too %s zeros."), zeros, chance, if (more) "many" else "few"),
        sprintf("See the library; train for longer, or try reconstruction_loss = \"%s\".",
            if (post@model@options$reconstruction_loss == "zinb") "nb" else "zinb"))
    used <- genes$data.mean >= least_predictive_mean & genes$data.variance > 0
    if (sum(used) < 10L) {
        reason <- "fewer than 10 genes have a mean count of at least 0.1"
        return(rbind(rows, not_known(checks[2L], reason), not_known(checks[3L], reason)))
    }
    genes <- genes[used, , drop = FALSE]
    mean <- stats::median(abs(log2(genes$model.mean / genes$data.mean)))
    ratio <- stats::median(log2(genes$model.variance / genes$data.variance))
    rbind(rows,
        finding(checks[2L], mean, 0, verdict_by(mean, 0.25, 0.75),
            sprintf("The mean of drawn counts is off by a factor of %.2f for half of the %d genes looked at.", 2^mean,
                sum(used)),
            "Do not interpret denoised expression yet: see the library, and train for longer."),
        finding(checks[3L], ratio, 0, verdict_by(abs(ratio), 0.5, 1.5),
            sprintf("Drawn counts of a gene vary %.2f times as much as the counts (median of %d genes).", 2^ratio,
                sum(used)),
            paste(if (ratio > 0) "The model's dispersions are too large, or its library sizes too noisy" else
                "The model's dispersions are too small", "(see the library): train for longer, or with a larger lr."))
    )
}

least_active_variance <- 0.01

check_active <- function(latent, post) {
    name <- "active dimensions"
    n <- ncol(latent)
    if (post@model@options$latent_distribution == "ln") {
        return(not_known(name, "the limit is one of Gaussian latent spaces, and this one is logistic normal",
            reference = n))
    }
    if (nrow(latent) < 2L) return(not_known(name, "there is one cell", reference = n))
    active <- sum(apply(latent, 2L, stats::var) > least_active_variance)
    verdict <- if (active >= n / 2) "ok" else if (active >= min(2, n)) "warn" else "bad"
    finding(name, active, n, verdict,
        sprintf("%d of %d latent dimensions tell cells apart.", active, n),
        paste("The rest is as the prior: use fewer (n_latent), train for longer, or phase the KL term in",
            "(n_epochs_kl_warmup)."))
}

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

# The change over the last quarter along a straight line, in percent of the mean, and its standard error.
last_change <- function(curve) {
    n <- nrow(curve)
    last <- utils::tail(curve, max(least_epochs_of_slope, ceiling(n / 4)))
    fit <- summary(stats::lm(y ~ epoch, last))$coefficients["epoch", ]
    100 * fit[1:2] * diff(range(last$epoch)) / abs(mean(last$y))
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
    change <- suppressWarnings(last_change(curve))
    within_noise <- is.finite(change[2L]) && abs(change[1L]) <= 2 * change[2L]
    verdict <- if (within_noise) "ok" else verdict_by(abs(change[1L]), 1, 5)
    what <- c(elbo_test_set = "The negative ELBO of held-out cells", loss = "The training loss",
        elbo_validation_set = "The negative ELBO of held-out cells")
    what <- if (of %in% names(what)) what[[of]] else "The negative ELBO of training cells"
    finding(name, change[1L], 0, verdict,
        sprintf("%s %s by %.1f %% over the last quarter of training%s.", what,
            if (change[1L] > 0) "rose" else "fell", abs(change[1L]), if (within_noise) ", within its noise" else ""),
        if (change[1L] > 0) "It overfits or diverges: early stopping, or a smaller lr." else
            "It has not converged: train for longer (n_epochs).")
}

check_kl_weight <- function(known) {
    name <- "KL weight"
    weight <- known$history$kl_weight
    full <- if (is.null(known$options$max_kl_weight)) 1 else known$options$max_kl_weight
    if (is.null(weight)) return(not_known(name, "there is no history of its training", reference = full))
    weight <- weight[length(weight)]
    # The core's weights are products of shares: all of it is up to rounding.
    finding(name, weight, full, verdict_by(full - weight, 1e-6, full / 2),
        sprintf("The KL term ended with a weight of %.2f, of %.2f%s.", weight, full,
            if (full - weight > 1e-6) ": the latent space is looser than it was to be" else ""),
        "The warm-up is longer than the training: a smaller n_epochs_kl_warmup, or more epochs.")
}

mixing_neighbours <- 50L

check_mixing <- function(latent, post) {
    name <- "batch mixing"
    batch <- droplevels(posterior_batches(post))
    if (nlevels(batch) < 2L) return(not_known(name, "the cells are of one batch"))
    k <- min(mixing_neighbours, nrow(latent) - 1L)
    share <- tabulate(batch) / length(batch)
    # Shares of k neighbours vary, which lowers their mean entropy (Miller 1955).
    expected <- -sum(share * log(share)) - (nlevels(batch) - 1) / (2 * k)
    if (expected <= 0) return(not_known(name, "the batches are too unequal, or the cells too few"))
    value <- entropy_batch_mixing(latent, batch, n_neighbors = k, n_pools = Inf)
    uses_batches <- post@model@options$n_batch > 1L
    finding(name, value, expected, verdict_by(-value / expected, -0.5, -0.2),
        sprintf("Among neighbours, batches mix to %.0f %% of what cells without batch effects would.",
            100 * value / expected),
        if (uses_batches) paste("If the batches should hold the same kinds of cells, train for longer; what interests",
            "you may also be what differs between them.") else
            "The model does not know the batches: give them (batch), if they should not matter.")
}
