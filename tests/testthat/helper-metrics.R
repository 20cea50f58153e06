# Scores by brute force: all distances, loops, and the definitions as they are written down.

# The k nearest other cells of each cell, one row a cell.
brute_neighbours <- function(x, k) {
    d <- as.matrix(stats::dist(x))
    diag(d) <- Inf
    nearest <- vapply(seq_len(nrow(x)), function(i) order(d[i, ])[seq_len(k)], integer(k))
    matrix(nearest, ncol = k, byrow = TRUE)
}

brute_entropies <- function(x, batch, k) {
    index <- brute_neighbours(x, k)
    apply(index, 1, function(near) {
        f <- table(batch[near]) / k
        -sum(f[f > 0] * log(f[f > 0]))
    })
}

brute_purity <- function(x, labels, k) {
    index <- brute_neighbours(x, k)
    share <- vapply(seq_along(labels), function(i) mean(labels[index[i, ]] == labels[i]), 0)
    mean(vapply(unique(labels), function(label) mean(share[labels == label]), 0))
}

# The two n x n matrices of zeros and ones, as 0.6.8 makes them.
brute_overlap <- function(x, proteins, k) {
    matrix_of <- function(index) {
        m <- matrix(0, nrow(index), nrow(index))
        m[cbind(rep(seq_len(nrow(index)), ncol(index)), as.vector(index))] <- 1
        m
    }
    e1 <- matrix_of(brute_neighbours(x, k))
    e2 <- matrix_of(brute_neighbours(proteins, k))
    list(
        spearman_correlation = stats::cor(as.vector(e1), as.vector(e2), method = "spearman"),
        fold_enrichment = sum(e1 * e2) * nrow(x)^2 / (sum(e1) * sum(e2))
    )
}

# Clusters in three dimensions that touch, with labels that have little and much to do with them.
cloud <- function(n = 90, seed = 1) {
    withr::with_seed(seed, {
        labels <- rep(c("B", "NK", "T"), length.out = n)
        list(
            x = matrix(stats::rnorm(3 * n), n) + 1.5 * match(labels, c("B", "NK", "T")), labels = labels,
            batch = sample(c("a", "b", "c", "d"), n, replace = TRUE, prob = c(4, 3, 2, 1)),
            proteins = matrix(stats::rnorm(2 * n), n) + 2 * match(labels, c("B", "NK", "T"))
        )
    })
}

# A posterior of few cells with batches, labels and proteins; its model is untrained.
scored_posterior <- function(..., proteins = NULL, n_latent = 3) {
    dataset <- small_dataset(n_cells = 80)
    dataset@proteins <- proteins
    Posterior(VAE(dataset, n_hidden = 8, n_latent = n_latent, ..., seed = 1), dataset)
}
