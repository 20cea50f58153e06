# Differential expression of real cells whose answer is known: blood cells with and without interferon-beta.

interferon_genes <- c("ISG15", "IFIT1", "IFIT2", "IFIT3", "IFITM3", "CXCL10", "CXCL11", "RSAD2", "TNFSF10",
    "APOBEC3A_ENSG00000128383")
markers <- list(
    "B cells" = "MS4A1", "CD14+ Monocytes" = c("CD14", "LYZ"), "CD4 T cells" = c("IL7R", "CD3D"),
    "CD8 T cells" = c("CD8A", "NKG7"), "FCGR3A+ Monocytes" = "FCGR3A"
)

# The batch is the donor: a batch is what a contrast must not see, and here the condition is what it is about. All
# settings are the package's defaults; 400 epochs are that of runSCVI() for so many cells.
kang_posterior <- local({
    post <- NULL
    function() {
        if (is.null(post)) {
            dataset <- GeneExpressionDataset(example_pbmc(), batch = "donor", labels = "cell_type")
            trainer <- UnsupervisedTrainer(VAE(dataset, seed = 1), dataset, seed = 1)
            post <<- create_posterior(train(trainer, n_epochs = 400, seed = 1, verbose = FALSE))
        }
        post
    }
})

# Genes that most likely differ (IL7R in CD4 T cells: .89 to .92, nine fits), those that rise most first.
by_change <- function(table) {
    sure <- table[table$proba_de > 0.85, ]
    rownames(sure)[order(sure$lfc_median, decreasing = TRUE)]
}

test_that("interferon-stimulated genes are what interferon changes most in CD14+ monocytes", {
    sce <- example_pbmc()
    monocyte <- sce$cell_type == "CD14+ Monocytes"
    # Measured with three seeds: all ten, the last of them at place 26, 25 and 27; with "auto" at place 14, 15 and 15.
    # (With one seed and no batch at all: nine, the tenth at place 32; all ten with "auto".)
    for (pseudocounts in list(NULL, "auto")) {
        de <- differential_expression_score(kang_posterior(), monocyte & sce$batch == "stim",
            monocyte & sce$batch == "ctrl", mode = "change", M_permutation = Inf, pseudocounts = pseudocounts, seed = 1)
        expect_gte(sum(interferon_genes %in% utils::head(by_change(de), 30)), 9)
    }
})

test_that("the markers of a cell type are among the genes that are highest in it", {
    # Measured with three seeds: no marker comes after place 16 in change mode.
    tables <- one_vs_all_degenes(kang_posterior(), mode = "change", M_permutation = Inf, seed = 1)
    for (type in names(markers)) {
        expect_true(all(markers[[type]] %in% utils::head(by_change(tables[[type]]), 50)), info = type)
    }
    # Mode "vanilla" asks how often a gene is higher, never by how much. All but one come early in its order, too; CD14
    # is at place 55, 73 and 66 with three seeds: the other monocytes have it as well.
    tables <- one_vs_all_degenes(kang_posterior(), M_permutation = Inf, seed = 1)
    for (type in names(markers)) {
        expect_true(all(setdiff(markers[[type]], "CD14") %in% utils::head(rownames(tables[[type]]), 50)), info = type)
    }
    expect_lt(match("CD14", rownames(tables[["CD14+ Monocytes"]])), 100)
})

# |z| of Wilcoxon's rank-sum test of the shares of each gene, without the correction for continuity.
rank_sum_z <- function(share, first) {
    n1 <- sum(first)
    n2 <- sum(!first)
    apply(share, 1L, function(x) {
        ties <- table(x)
        variance <- n1 * n2 / 12 * (n1 + n2 + 1 - sum(ties^3 - ties) / ((n1 + n2) * (n1 + n2 - 1)))
        abs(sum(rank(x)[first]) - n1 * (n1 + n2 + 1) / 2) / sqrt(variance)
    })
}

test_that("three fits call the same genes, with changes as observed, and Wilcoxon's among the first", {
    sce <- example_pbmc()
    stim <- sce$batch == "stim"
    monocyte <- sce$cell_type == "CD14+ Monocytes"
    counts <- as.matrix(SingleCellExperiment::counts(sce)[, monocyte])
    share <- t(t(counts) / colSums(counts))
    pseudocount <- 3 / min(tapply(colSums(counts), stim[monocyte], sum))
    wilcoxon <- names(sort(rank_sum_z(share, stim[monocyte]), decreasing = TRUE))[1:30]
    observed <- log2(rowMeans(share[, stim[monocyte]]) + pseudocount) -
        log2(rowMeans(share[, !stim[monocyte]]) + pseudocount)
    tables <- lapply(0:2, function(seed) {
        fit <- runSCVI(sce, n_epochs = 100, seed = seed, verbose = FALSE)
        differential_expression_score(posterior(fit), monocyte & stim, monocyte & !stim, mode = "change",
            M_permutation = Inf, pseudocounts = "detection", seed = seed)
    })
    called <- lapply(tables, function(de) rownames(de)[de$proba_de > 0.95])
    alike <- utils::combn(3L, 2L, function(k) {
        length(intersect(called[[k[1L]]], called[[k[2L]]])) / length(union(called[[k[1L]]], called[[k[2L]]]))
    })
    # Measured with these seeds: .86, .85, .83; 20 of 30 with each; .977, .977, .971. Roundings differ between
    # processors and are to a fit what another seed is: hence the slack.
    expect_gt(mean(alike), 0.8)
    expect_gte(mean(vapply(tables, function(de) sum(rownames(top_genes(de, 30)) %in% wilcoxon), 0)), 18)
    expect_gt(mean(vapply(tables, function(de) {
        stats::cor(de$lfc_mean, observed[rownames(de)], method = "spearman")
    }, 0)), 0.965)
})
