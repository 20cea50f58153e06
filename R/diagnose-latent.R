# Checks of diagnose() of the latent space: which dimensions are used, and whether batches mix.

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
