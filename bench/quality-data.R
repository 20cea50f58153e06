# The five data sets of bench/quality.R, their splits, and the null model on the same cells.

# Epochs are those of scvi 0.6.8's numbers. `n_genes`: the genes of largest count variance alone.
quality_sets <- list(
    kang_labelled = list(epochs = 100L), pbmc3k = list(epochs = 100L, n_genes = 2000L),
    worm_l2 = list(epochs = 40L, unlabelled = "Unclassified neurons"), pbmc4k_labelled = list(epochs = 100L),
    cbmc_cite = list(epochs = 40L)
)

# What was given as --name value on the command line; a value may be several, with commas.
given <- function(name, default) {
    arguments <- commandArgs(trailingOnly = TRUE)
    at <- match(paste0("--", name), arguments)
    if (is.na(at)) default else strsplit(arguments[at + 1L], ",", fixed = TRUE)[[1L]]
}

# The counts (genes x cells), batches and labels of the cells; NULL where all are alike. Labels are NA where a cell has
# none.
read_quality_data <- function(shared, name) {
    folder <- file.path(shared, "data", name)
    counts <- methods::as(Matrix::readMM(gzfile(file.path(folder, "counts.mtx.gz"))), "CsparseMatrix")
    cells <- utils::read.delim(file.path(folder, "cells.tsv"), quote = "")
    genes <- utils::read.delim(file.path(folder, "genes.tsv"), quote = "")
    dimnames(counts) <- list(make.unique(as.character(genes[[1L]])), cells$barcode)
    n_genes <- quality_sets[[name]]$n_genes
    if (!is.null(n_genes)) {
        variance <- Matrix::rowMeans(counts^2) - Matrix::rowMeans(counts)^2
        counts <- counts[sort(order(variance, decreasing = TRUE)[seq_len(n_genes)]), ]
    }
    varies <- function(x) length(unique(stats::na.omit(x))) > 1L
    labels <- if (varies(cells$label)) as.character(cells$label)
    labels[labels %in% quality_sets[[name]]$unlabelled] <- NA
    list(name = name, counts = counts, batch = if (varies(cells$batch)) as.character(cells$batch), labels = labels)
}

# 1-based rows of cells.tsv that are held out with this seed.
held_out_cells <- function(shared, name, seed) {
    file <- file.path(shared, "reference", "quality", sprintf("%s.test.%d_0based.txt", name, seed))
    as.integer(readLines(file)) + 1L
}

# Mean over held-out cells of -ln p under NB(cell's total x share, theta), which knows one share and one dispersion a
# gene: those of the training cells, theta by moments (as VAE(dispersion_start = "moments") has them).
null_neg_log_likelihood <- function(counts, train, test) {
    x <- counts[, train]
    total <- Matrix::colSums(x)
    share <- (Matrix::rowSums(x) + 1e-3) / sum(Matrix::rowSums(x) + 1e-3)
    expected <- share^2 * sum(total^2)
    deviation <- Matrix::rowSums(x^2) - 2 * share * as.numeric(x %*% total) + expected
    theta <- expected / (deviation - Matrix::rowSums(x))
    theta[!is.finite(theta) | theta <= 0] <- Inf
    theta <- exp(pmin(pmax(log(theta), -7), 5))
    x <- as.matrix(counts[, test])
    mu <- outer(share, colSums(x))
    -mean(colSums(stats::dnbinom(x, size = theta, mu = mu, log = TRUE)))
}
