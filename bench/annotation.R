# How well the labels of unlabelled cells are told: runSCANVI(), its classifier alone, 5 nearest neighbours in the
# latent space of its VAE, and multinomial logistic regression on log-normalised counts (ridge, glmnet, if it is there).
# ANNOTATION.md has the results.
#
#   Rscript bench/annotation.R FOLDER EPOCHS [seeds=3] [fits=1] [labelled=FILE] [drop] [donor=NAME] [batch=COLUMN]
#                           [linear] [defaults=recommended]
#
# FOLDER as tests/realdata/make-realdata.R takes it; EPOCHS of the VAE. Seeds count from 0, and decide which cells have
# labels.
#   fits      of each seed
#   labelled  a file name with %d for the seed, holding the 0-based cells whose label is used; otherwise 20 of each
#             label are drawn at random
#   donor     the labels of this donor's cells are used instead, and all others are asked for
#   drop      leaves out cells of the label "Unclassified neurons"; otherwise they take part in training without a label
#   batch     a column of cells.tsv, or "none"; otherwise `batch`, if it has more than one level
#   linear    SCANVI with a linear classifier
#   defaults  the set of runSCANVI(); otherwise scvi-0.6.8, its default

suppressPackageStartupMessages({
    library(rscvi)
    library(Matrix)
})

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
n_epochs <- as.integer(arguments[2])
given <- function(name, default = NULL) {
    value <- sub("^[a-z]+=", "", grep(paste0("^", name, "="), arguments, value = TRUE))
    if (length(value)) value else default
}
from_0 <- function(n) seq_len(as.integer(n)) - 1L
runs <- expand.grid(fit = from_0(given("fits", 1)), seed = from_0(given("seeds", 3)))

counts <- methods::as(readMM(gzfile(file.path(folder, "counts.mtx.gz"))), "CsparseMatrix")
cells <- read.delim(file.path(folder, "cells.tsv"), quote = "")
genes <- read.delim(file.path(folder, "genes.tsv"), quote = "")
dimnames(counts) <- list(genes$gene, cells$barcode)
cells$label[cells$label %in% "Unclassified neurons"] <- NA
keep <- if ("drop" %in% arguments) !is.na(cells$label) else rep(TRUE, nrow(cells))
truth <- cells$label[keep]
sce <- SingleCellExperiment::SingleCellExperiment(list(counts = counts[, keep]))
column <- given("batch", if (length(unique(cells$batch)) > 1) "batch" else "none")
batch <- if (column != "none") as.character(cells[[column]][keep])

# Indices of the cells that are kept.
labelled_cells <- function(seed) {
    if (!is.null(given("donor"))) return(which(cells$donor[keep] == given("donor") & !is.na(truth)))
    if (!is.null(given("labelled"))) {
        named <- as.integer(readLines(sprintf(given("labelled"), seed))) + 1L
        return(match(intersect(named, which(keep)), which(keep)))
    }
    set.seed(seed)
    unlist(lapply(split(seq_along(truth), truth), function(i) sample(i, min(20L, length(i)))))
}

logistic_regression <- function(labelled, asked) {
    if (!requireNamespace("glmnet", quietly = TRUE)) return(NULL)
    x <- SingleCellExperiment::counts(sce)
    x <- t(log1p(t(t(x) / pmax(colSums(x), 1)) * 1e4))
    fit <- glmnet::cv.glmnet(x[labelled, ], factor(truth[labelled]), family = "multinomial", alpha = 0, nfolds = 5)
    predict(fit, x[asked, ], s = "lambda.min", type = "class")
}

scores <- vapply(seq_len(nrow(runs)), function(run) {
    seed <- runs$seed[run]
    labelled <- labelled_cells(seed)
    known <- replace(rep(NA_character_, length(truth)), labelled, truth[labelled])
    asked <- setdiff(which(!is.na(truth)), labelled)
    score <- function(prediction) if (is.null(prediction)) NA else mean(as.character(prediction) == truth[asked])

    settings <- list(sce, batch = batch, n_epochs = n_epochs, seed = seed + 1000L * runs$fit[run],
        verbose = FALSE, defaults = given("defaults", "scvi-0.6.8"))
    annotated <- do.call(runSCANVI, c(settings, list(labels = known),
        if ("linear" %in% arguments) list(classifier_parameters = list(n_layers = 0))))
    right <- as.character(annotated$scanvi_label[asked]) == truth[asked]
    classifier <- compute_predictions(posterior(annotated, "SCANVI"))$prediction[asked]
    in_tenths <- cut(annotated$scanvi_probability[asked], 0:10 / 10)
    calibration <- sum(abs(tapply(annotated$scanvi_probability[asked] - right, in_tenths, sum)), na.rm = TRUE)

    # The same call trains the same VAE, to the bit.
    warmup <- if (settings$defaults == "scvi-0.6.8") list(n_epochs_kl_warmup = NULL)
    z <- SingleCellExperiment::reducedDim(do.call(runSCVI, c(settings, warmup)), "SCVI")
    near <- BiocNeighbors::queryKNN(z[labelled, ], z[asked, ], k = 5)$index
    vote <- apply(matrix(known[labelled][near], ncol = 5), 1, function(v) names(which.max(table(v))))

    out <- c(SCANVI = mean(right), ECE = calibration / length(asked), classifier = score(classifier),
        `5NN of VAE` = score(vote),
        `logistic regression` = score(logistic_regression(labelled, asked)))
    cat(sprintf("%s, seed %d, fit %d: %s\n", basename(folder), seed, runs$fit[run],
        paste(names(out), sprintf("%.3f", out), collapse = ", ")))
    out
}, numeric(5))
cat(sprintf("| %s | %s |\n", basename(folder), paste(sprintf("%.3f", rowMeans(scores)), collapse = " | ")))
