# Three types of cells that differ in four genes each, of 14.

separable_counts <- function(n = 120, seed = 1) {
    withr::with_seed(seed, {
        type <- rep(c("x", "y", "z"), length.out = n)
        mu <- matrix(2, 14, n)
        for (k in 1:3) mu[(k - 1) * 4 + 1:4, type == c("x", "y", "z")[k]] <- 12
        list(counts = matrix(stats::rpois(length(mu), mu), 14), type = type, batch = rep(c("a", "b"), each = n / 2))
    })
}

separable_dataset <- function(labels = NULL, counts = NULL, ...) {
    data <- separable_counts(...)
    GeneExpressionDataset(if (is.null(counts)) data$counts else counts, batch = data$batch,
        labels = if (is.null(labels)) data$type else labels)
}

# Every tensor, by name, whether it is the same to the last bit.
same_tensors <- function(a, b) {
    stopifnot(identical(names(a), names(b)))
    stats::setNames(vapply(names(a), function(name) identical(a[[name]], b[[name]]), NA), names(a))
}

expect_refused <- function(expr, ..., class = "rscvi_invalid_argument") expect_error(expr, ..., class = class)
# Label spreading in closed form (Zhou et al. 2004), densely: what spread_labels() comes to in the end.
spread_by_hand <- function(latent, known, k, alpha) {
    n <- nrow(latent)
    known <- factor(known)
    distance <- as.matrix(stats::dist(latent))
    diag(distance) <- Inf
    near <- matrix(0, n, n)
    for (i in seq_len(n)) near[i, order(distance[i, ])[seq_len(k)]] <- 1
    edges <- near + t(near)
    root <- sqrt(rowSums(edges))
    start <- sapply(levels(known), function(l) as.numeric(known %in% l))
    mass <- solve(diag(n) - alpha * edges / outer(root, root), start)
    mass / rowSums(mass)
}
