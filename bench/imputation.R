# How good are imputed counts? A tenth of the non-zero counts is set to zero; a model with runSCVI()'s defaults is
# trained on what is left, and asked for them. Beside it: each gene's mean, each gene's share times the cell's total,
# the mean of the nearest cells, and what such a model says that was trained on all counts, those asked for included.
#
#   Rscript bench/imputation.R [--data kang_labelled,pbmc3k] [--seeds 0,1,2] [--likelihood nb,zinb] [--shared ../shared]
#
# Prints the median of |original - imputed| over the entries (the score of imputation_score()), and the mean.

suppressPackageStartupMessages({
    library(rscvi)
    library(Matrix)
})
folder <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
source(file.path(folder, "quality-data.R"))

zero_some <- function(counts, share, seed) {
    set.seed(seed)
    which <- sort(sample(length(counts@x), floor(share * length(counts@x))))
    cell <- rep(seq_len(ncol(counts)), diff(counts@p))[which]
    entries <- cbind(gene = counts@i[which] + 1L, cell = cell)
    original <- counts@x[which]
    counts@x[which] <- 0
    list(counts = drop0(counts), entries = entries, original = original)
}

# Shares of the `k` nearest cells in the first principal components of log-normalised counts, times the cell's total.
neighbour_means <- function(counts, k = 15L, n_components = 20L) {
    total <- colSums(counts)
    share <- counts %*% Diagonal(x = 1 / total)
    pca <- stats::prcomp(as.matrix(t(log1p(share * 1e4))), rank. = n_components)$x
    near <- BiocNeighbors::findKNN(pca, k = k)$index
    weights <- sparseMatrix(i = as.vector(near), j = rep(seq_len(nrow(near)), k), x = 1 / k,
        dims = dim(share)[c(2L, 2L)])
    share %*% weights %*% Diagonal(x = total)
}

# Rates of a model that is trained on these counts.
of_model <- function(likelihood, counts, batch, entries, seed, n_draws = 10L) {
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = counts))
    sce <- runSCVI(sce, batch = batch, n_epochs = 100, seed = seed, verbose = FALSE, reconstruction_loss = likelihood)
    total <- 0
    for (draw in seq_len(n_draws)) total <- total + imputation(posterior(sce), seed = draw)[entries[, 2:1]]
    total / n_draws
}

likelihoods <- given("likelihood", c("nb", "zinb"))
for (name in given("data", c("kang_labelled", "pbmc3k"))) {
    data <- read_quality_data(given("shared", "../shared"), name)
    scores <- vapply(as.integer(given("seeds", 0:2)), function(seed) {
        hidden <- zero_some(data$counts, 0.1, seed)
        gene_mean <- rowMeans(hidden$counts)
        share <- rowSums(hidden$counts) / sum(hidden$counts)
        models <- lapply(stats::setNames(nm = likelihoods), of_model, hidden$counts, data$batch, hidden$entries, seed)
        guesses <- c(models, list(
            gene_mean = gene_mean[hidden$entries[, 1L]],
            share_of_total = share[hidden$entries[, 1L]] * colSums(hidden$counts)[hidden$entries[, 2L]],
            neighbours = as.matrix(neighbour_means(hidden$counts))[hidden$entries],
            told = of_model("nb", data$counts, data$batch, hidden$entries, seed)
        ))
        error <- lapply(guesses, function(guess) abs(guess - hidden$original))
        found <- c(vapply(error, stats::median, 0), mean = vapply(error, mean, 0))
        cat(sprintf("%s, seed %d: %s\n", name, seed, paste(names(found), sprintf("%.4f", found), collapse = ", ")))
        found
    }, numeric(2L * (length(likelihoods) + 4L)))
    cat(sprintf("| %s | %s |\n", name, paste(sprintf("%.3f", rowMeans(scores)), collapse = " | ")))
}
