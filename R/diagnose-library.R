# Checks of diagnose() of the library size: what the model takes cells for, beside their totals.

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
