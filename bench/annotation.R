# How well labels of unlabelled cells are told, 20 labels a class: SCANVI, 5 nearest neighbours in a VAE's latent space,
# and multinomial logistic regression on log-normalised counts (glmnet, if it is there).
#
#   Rscript bench/annotation.R FOLDER EPOCHS [SEEDS] [LABELLED | drop]
#
# FOLDER as tests/realdata/make-realdata.R takes it. Cells without a label, and of the label "Unclassified neurons", take
# part in training (with `drop` they do not), but are no part of a class. LABELLED: a file name with %d for the seed, holding the 0-based cells whose
# label is used; without it they are drawn at random.

suppressPackageStartupMessages({
    library(rscvi)
    library(Matrix)
})

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
n_epochs <- as.integer(arguments[2])
seeds <- if (length(arguments) > 2) seq_len(as.integer(arguments[3])) - 1L else 0:2

counts <- methods::as(readMM(gzfile(file.path(folder, "counts.mtx.gz"))), "CsparseMatrix")
cells <- read.delim(file.path(folder, "cells.tsv"), quote = "")
genes <- read.delim(file.path(folder, "genes.tsv"), quote = "")
dimnames(counts) <- list(genes$gene, cells$barcode)
truth <- cells$label
truth[truth %in% "Unclassified neurons"] <- NA
if ("drop" %in% arguments) {
    keep <- !is.na(truth)
    counts <- counts[, keep]
    cells <- cells[keep, ]
    truth <- truth[keep]
}
batch <- if (length(unique(cells$batch)) > 1) cells$batch

for (seed in seeds) {
    labelled <- if (length(arguments) > 3 && arguments[4] != "drop") {
        as.integer(readLines(sprintf(arguments[4], seed))) + 1L
    } else {
        set.seed(seed)
        unlist(lapply(split(seq_along(truth), truth), function(i) sample(i, min(20L, length(i)))))
    }
    known <- replace(rep(NA_character_, length(truth)), labelled, truth[labelled])
    asked <- setdiff(which(!is.na(truth)), labelled)
    dataset <- GeneExpressionDataset(counts, batch = batch, labels = known, empty_cells = "keep")
    score <- function(prediction) mean(as.character(prediction) == truth[asked])

    # As runSCANVI() does it.
    vae <- VAE(dataset, n_labels = 0, seed = seed)
    train(UnsupervisedTrainer(vae, dataset, n_epochs_kl_warmup = NULL), n_epochs = n_epochs, seed = seed, verbose = FALSE)
    trainer <- SemiSupervisedTrainer(SCANVI(dataset, from = vae, seed = seed), dataset, n_epochs_kl_warmup = NULL)
    seconds <- system.time(train(trainer, n_epochs = 10, seed = seed, verbose = FALSE))[["elapsed"]]
    scanvi <- score(compute_predictions(Posterior(model(trainer), dataset))$prediction[asked])

    z <- latent_matrix(Posterior(vae, dataset))
    near <- BiocNeighbors::queryKNN(z[labelled, ], z[asked, ], k = 5)$index
    vote <- apply(matrix(known[labelled][near], ncol = 5), 1, function(v) names(which.max(table(v))))

    regression <- NA
    if (requireNamespace("glmnet", quietly = TRUE)) {
        x <- t(log1p(t(t(counts) / pmax(colSums(counts), 1)) * 1e4))
        fit <- glmnet::cv.glmnet(x[labelled, ], factor(known[labelled]), family = "multinomial", alpha = 0, nfolds = 5)
        regression <- score(predict(fit, x[asked, ], s = "lambda.min", type = "class"))
    }
    cat(sprintf("%s seed %d: SCANVI %.3f (%.0f s after the VAE), 5NN of VAE %.3f, logistic regression %.3f\n", basename(folder), seed,
        scanvi, seconds, score(vote), regression))
}
