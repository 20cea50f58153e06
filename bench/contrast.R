# Do two fits call the same genes? Interferon in CD14+ monocytes of kang_labelled (ctrl against stim), the condition not
# given as batch, with runSCVI()'s defaults: what the fits agree on, and how they compare with Wilcoxon's test and with
# the observed changes.
#
#   Rscript bench/contrast.R [SHARED] [N_SEEDS]
suppressPackageStartupMessages({
    library(rscvi)
    library(Matrix)
})
folder <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
source(file.path(folder, "quality-data.R"))
arguments <- commandArgs(trailingOnly = TRUE)
shared <- if (length(arguments)) arguments[1L] else "../shared"
seeds <- seq_len(if (length(arguments) > 1L) as.integer(arguments[2L]) else 3L) - 1L

data <- read_quality_data(shared, "kang_labelled")
wilcoxon <- utils::read.csv(file.path(shared, "reference", "quality", "de_kang_wilcoxon_top30.csv"))$gene
monocyte <- data$labels == "CD14+ Monocytes"
ctrl <- monocyte & data$batch == "ctrl"
stim <- monocyte & data$batch == "stim"
share <- data$counts %*% Diagonal(x = 1e4 / colSums(data$counts))
observed <- log2(rowMeans(share[, ctrl]) + 1e-2) - log2(rowMeans(share[, stim]) + 1e-2)

sce <- SingleCellExperiment::SingleCellExperiment(list(counts = data$counts))
posts <- lapply(seeds, function(seed) posterior(runSCVI(sce, n_epochs = 100, seed = seed, verbose = FALSE)))
compare <- function(post, seed, pseudocounts) {
    de <- differential_expression_score(post, ctrl, stim, mode = "change", M_permutation = Inf,
        pseudocounts = pseudocounts, fdr_target = 0.05, seed = seed)
    de[order(-de$proba_de, -abs(de$lfc_median)), ]
}
jaccard <- function(sets) {
    apply(utils::combn(length(sets), 2L), 2L, function(p) {
        a <- sets[[p[1L]]]
        b <- sets[[p[2L]]]
        length(intersect(a, b)) / length(union(a, b))
    })
}
say <- function(what, x, digits = 3L) cat(sprintf("%-48s %s\n", what, paste(signif(x, digits), collapse = "  ")))
for (pseudocounts in list(NULL, "auto")) {
    cat("\npseudocounts: ", if (is.null(pseudocounts)) "none" else pseudocounts, "\n", sep = "")
    tables <- Map(compare, posts, seeds, list(pseudocounts))
    called <- lapply(tables, function(de) rownames(de)[de$proba_de > 0.95])
    of_fdr <- lapply(tables, function(de) rownames(de)[de$is_de_fdr_0.05])
    say("overlap of the first 30 with Wilcoxon's", vapply(tables, function(de) mean(rownames(de)[1:30] %in% wilcoxon), 0))
    say("Spearman's correlation of lfc with the observed", vapply(tables, function(de) {
        stats::cor(de$lfc_mean, observed[rownames(de)], method = "spearman")
    }, 0))
    say("genes with proba_de > .95", lengths(called))
    say("Jaccard index between seeds", jaccard(called))
    say("genes on the list of FDR .05", lengths(of_fdr))
    say("Jaccard index between seeds", jaccard(of_fdr))
}
