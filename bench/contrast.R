# Do fits call the same genes, and do their changes hold in cells that they did not see? Interferon in CD14+ monocytes
# of kang_labelled (ctrl against stim), the condition not given as batch, with runSCVI()'s defaults, or with another
# likelihood.
#
#   Rscript bench/contrast.R [--seeds 0,1,2] [--likelihood zinb] [--shared ../shared]
#
# First fits to all cells: overlap with Wilcoxon's test, correlation with the observed changes, and how far seeds agree.
# Then fits to half of the cells: correlation of the changes with those observed in the other half, beside that of the
# changes observed in the half that was trained on.

suppressPackageStartupMessages({
    library(rscvi)
    library(Matrix)
})
folder <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))))
source(file.path(folder, "quality-data.R"))
shared <- given("shared", "../shared")
seeds <- as.integer(given("seeds", 0:2))

data <- read_quality_data(shared, "kang_labelled")
wilcoxon <- utils::read.csv(file.path(shared, "reference", "quality", "de_kang_wilcoxon_top30.csv"))$gene
monocyte <- data$labels == "CD14+ Monocytes"
ctrl <- data$batch == "ctrl"
share <- data$counts %*% Diagonal(x = 1e4 / colSums(data$counts))
observed_changes <- function(cells, pseudocount = 1e-6) {
    of <- function(cells) log2(rowMeans(share[, cells]) / 1e4 + pseudocount)
    of(cells & ctrl) - of(cells & !ctrl)
}
# What "detection" stands for.
detection <- 3 / min(sum(data$counts[, monocyte & ctrl]), sum(data$counts[, monocyte & !ctrl]))
correlation <- function(x, y) stats::cor(x, y[names(x)], method = "spearman")

sce <- SingleCellExperiment::SingleCellExperiment(list(counts = data$counts))
likelihood <- given("likelihood", NULL)
settings <- list(sce, n_epochs = 100, verbose = FALSE)
if (!is.null(likelihood)) settings$reconstruction_loss <- likelihood
fit <- function(seed, train_size = 0.9) do.call(runSCVI, c(settings, seed = seed, train_size = train_size))
compare <- function(post, cells, seed, pseudocounts = NULL) {
    differential_expression_score(post, cells & ctrl, cells & !ctrl, mode = "change", M_permutation = Inf,
        pseudocounts = pseudocounts, fdr_target = 0.05, seed = seed)
}
overlaps <- function(tables, sorted = identity) {
    vapply(tables, function(de) mean(rownames(sorted(de))[1:30] %in% wilcoxon), 0)
}
changes <- function(de) stats::setNames(de$lfc_mean, rownames(de))
jaccard <- function(sets) {
    apply(utils::combn(length(sets), 2L), 2L, function(p) {
        a <- sets[[p[1L]]]
        b <- sets[[p[2L]]]
        length(intersect(a, b)) / length(union(a, b))
    })
}
say <- function(what, x, digits = 4L) cat(sprintf("%-48s %s\n", what, paste(signif(x, digits), collapse = "  ")))

posts <- lapply(seeds, function(seed) posterior(fit(seed)))
for (pseudocounts in list(NULL, 1e-6, "detection", 1e-4, "auto")) {
    cat("\npseudocounts: ", if (is.null(pseudocounts)) "none" else format(pseudocounts), "\n", sep = "")
    tables <- Map(compare, posts, list(monocyte), seeds, list(pseudocounts))
    called <- lapply(tables, function(de) rownames(de)[de$proba_de > 0.95])
    of_fdr <- lapply(tables, function(de) rownames(de)[de$is_de_fdr_0.05])
    say("overlap of the first 30 with Wilcoxon's", overlaps(tables))
    say("of the first 30 of top_genes()", overlaps(tables, top_genes))
    say("Spearman's correlation of lfc with the observed", vapply(tables, function(de) {
        correlation(changes(de), observed_changes(monocyte))
    }, 0))
    same <- if (identical(pseudocounts, "detection")) detection else pseudocounts
    if (is.numeric(same)) {
        say("the same, of observed ones with this pseudocount", vapply(tables, function(de) {
            correlation(changes(de), observed_changes(monocyte, same))
        }, 0))
    }
    say("genes with proba_de > .95", lengths(called))
    say("Jaccard index between seeds", jaccard(called))
    say("genes on the list of FDR .05", lengths(of_fdr))
    say("Jaccard index between seeds", jaccard(of_fdr))
}

cat("\nfits to half of the cells; Spearman's correlation with changes of the other half\n")
halves <- vapply(seeds, function(seed) {
    half <- fit(seed, 0.5)
    trained <- seq_len(ncol(sce)) %in% posterior(half, set = "train_set")@indices
    new <- observed_changes(monocyte & !trained)
    c(model = correlation(changes(compare(posterior(half), monocyte & trained, seed)), new),
        observed = correlation(observed_changes(monocyte & trained), new))
}, numeric(2L))
say("of lfc of the model", halves["model", ])
say("of observed changes of the cells trained on", halves["observed", ])
