# The checks of diagnose(), each a row or two of its table. What they compute and their limits: ?diagnose.

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

has_dropout <- function(post) post@model@options$reconstruction_loss == "zinb"

# ln of the total that the model expects of each cell, at the means of q(z|x) and q(l|x): noise of 0 makes a draw the
# mean.
expected_log_totals <- function(post, block_size = predictive_block_size) {
    at_mean <- function(n) list(z = matrix(0, n, post@model@options$n_latent), library = rep(0, n))
    n <- nb_cells(post)
    if (!has_dropout(post)) return(unname(get_stats(post, noise = at_mean(n)["library"], seed = 0)))
    blocks <- split(post@indices, (seq_len(n) - 1L) %/% max(1, block_size %/% (4 * nb_genes(post@gene_dataset))))
    log(unlist(lapply(blocks, function(cells) {
        rates <- generate_parameters(update_sampler_indices(post, cells), noise = at_mean(length(cells)), seed = 0)
        unname(rowSums(rates$means * stats::plogis(-rates$dropout)))
    }), use.names = FALSE))
}

library_errors <- function(post) {
    total <- unname(Matrix::colSums(counts_read(post)[, post@indices, drop = FALSE]))
    table <- data.frame(log_total = log(total), library = expected_log_totals(post))
    attr(table, "observed") <- post@model@options$library == "observed" && !has_dropout(post)
    table[total > 0, , drop = FALSE]
}

# `latent`: whether an encoder alone finds the library.
check_library <- function(library, latent = TRUE) {
    checks <- c("library bias", "library noise")
    if (nrow(library) < 2L) {
        reason <- "fewer than two of the cells have counts"
        return(rbind(not_known(checks[1L], reason), not_known(checks[2L], reason)))
    }
    errors <- library$library - library$log_total
    bias <- mean(errors)
    noise <- stats::sd(errors)
    chance <- sqrt(mean(exp(-library$log_total)))
    meaning <- c(sprintf("The model takes cells to be %.2f times as large as they are.", exp(bias)),
        sprintf("From cell to cell the library size is off by a factor of about %.2f.", exp(noise)))
    if (isTRUE(attr(library, "observed"))) meaning[] <- "The library size is the observed one."
    advice <- if (latent) paste("Encode the library as the observed one and a residual (library = \"residual\"), take",
        "the observed one (\"observed\"), or train for longer: what is wrong with the library, likelihoods and drawn",
        "counts have wrong, too.") else paste("Train for longer. Dropout takes counts from the total that the library",
        "gives: reconstruction_loss = \"nb\" has none.")
    rbind(
        finding(checks[1L], bias, 0, verdict_by(abs(bias), 0.1, 0.25), meaning[1L], advice),
        finding(checks[2L], noise, chance, verdict_by(noise^2 - chance^2, 0.15^2, 0.5^2), meaning[2L], advice)
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

least_cells_drawn <- 30L

check_predictive <- function(genes, post) {
    checks <- c("predictive zeros", "predictive mean", "predictive variance")
    n <- attr(genes, "n_cells")
    used <- genes$data.mean >= least_predictive_mean & genes$data.variance > 0
    reason <- if (n < least_cells_drawn) sprintf("there are %d cells, and %d are needed", n, least_cells_drawn) else
        if (sum(used) < 10L) "fewer than 10 genes have a mean count of at least 0.1"
    if (!is.null(reason)) return(do.call(rbind, lapply(checks, not_known, reason = reason)))
    genes <- genes[used, , drop = FALSE]
    # A count and S drawn ones for each cell.
    per_cell <- (1 + 1 / n_predictive_draws) / n
    zeros <- mean(abs(genes$model.zeros - genes$data.zeros))
    by_chance <- mean(sqrt(2 / pi * genes$data.zeros * (1 - genes$data.zeros) * per_cell))
    more <- mean(genes$model.zeros - genes$data.zeros) > 0
    fold <- stats::median(abs(log2(genes$model.mean / genes$data.mean)))
    relative_error <- sqrt(genes$data.variance * per_cell) / genes$data.mean
    fold_by_chance <- stats::qnorm(0.75) * stats::median(relative_error) / log(2)
    ratio <- stats::median(log2(genes$model.variance / genes$data.variance))
    rbind(
        finding(checks[1L], zeros, by_chance, verdict_by(zeros - by_chance, 0.02, 0.05),
            sprintf(paste("The share of zeros of a gene is off by %.3f on average, chance alone gives %.3f; the model",
                "draws too %s zeros (%d genes)."), zeros, by_chance, if (more) "many" else "few", sum(used)),
            paste0("See the library; train for longer", other_likelihood(post, more), ".")),
        finding(checks[2L], fold, fold_by_chance, verdict_by(fold - fold_by_chance, 0.25, 0.75),
            sprintf(paste("The mean of drawn counts is off by a factor of %.2f for half of the genes, chance alone",
                "gives %.2f."), 2^fold, 2^fold_by_chance),
            "Do not interpret denoised expression yet: see the library, and train for longer."),
        finding(checks[3L], ratio, 0, verdict_by(abs(ratio), 0.5, 1.5),
            sprintf("Drawn counts of a gene vary %s times as much as the counts (median of %d genes).",
                format(2^ratio, digits = 3), sum(used)),
            paste(if (ratio > 0) "The model's dispersions are too large, or its library sizes too noisy" else
                "The model's dispersions are too small", "(see the library). Train for longer, or with a larger lr."))
    )
}

# What a likelihood with more, or with fewer, zeros would be.
other_likelihood <- function(post, too_many) {
    now <- post@model@options$reconstruction_loss
    try <- if (too_many) c(zinb = "nb")[now] else c(poisson = "nb", nb = "zinb")[now]
    if (is.na(try)) "" else sprintf(", or try reconstruction_loss = \"%s\"", try)
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

# The change over the last quarter along a straight line, in percent of the mean, its standard error, and the number of
# epochs that it is over.
last_change <- function(curve) {
    last <- utils::tail(curve, max(least_epochs_of_slope, ceiling(nrow(curve) / 4)))
    fit <- summary(stats::lm(y ~ epoch, last))$coefficients["epoch", ]
    c(100 * fit[1:2] * diff(range(last$epoch)) / abs(mean(last$y)), diff(range(last$epoch)))
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
        sprintf("%s %s by %.1f %% over the last %d epochs%s.", what, if (change[1L] > 0) "rose" else "fell",
            abs(change[1L]), as.integer(change[3L]), if (within_noise) ", within its noise" else ""),
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

most_mixing_neighbours <- 50L
least_mixing_neighbours <- 5L

check_mixing <- function(latent, post) {
    name <- "batch mixing"
    batch <- droplevels(posterior_batches(post))
    if (nlevels(batch) < 2L) return(not_known(name, "the cells are of one batch"))
    # Where nearly all cells are neighbours, all latent spaces mix.
    k <- min(most_mixing_neighbours, nrow(latent) %/% 10L)
    if (k < least_mixing_neighbours) {
        return(not_known(name, sprintf("there are %d cells, and %d are needed", nrow(latent),
            10L * least_mixing_neighbours)))
    }
    expected <- mixing_by_chance(tabulate(batch), k)
    value <- entropy_batch_mixing(latent, batch, n_neighbors = k, n_pools = Inf)
    uses_batches <- post@model@options$n_batch > 1L
    finding(name, value, expected, verdict_by(-value / expected, -0.5, -0.2),
        sprintf("Among neighbours, batches mix to %.0f %% of what cells without batch effects would.",
            100 * value / expected),
        if (uses_batches) paste("If the batches should hold the same kinds of cells, train for longer; what interests",
            "you may also be what differs between them.") else
            "The model does not know the batches: give them (batch), if they should not matter.")
}

# The expected entropy of the batches of k of the other cells, for batches of these sizes that are dealt at random.
mixing_by_chance <- function(sizes, k) {
    n <- sum(sizes)
    share <- 0:k / k
    entropy <- -share * log(pmax(share, .Machine$double.xmin))
    # Of one batch, with `size` of the n - 1 other cells.
    of_batch <- function(size) vapply(size, function(m) sum(stats::dhyper(0:k, m, n - 1 - m, k) * entropy), 0)
    sum(sizes / n * of_batch(sizes - 1) + (1 - sizes / n) * of_batch(sizes))
}
