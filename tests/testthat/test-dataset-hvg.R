# Highly variable genes: the numbers of scvi 0.6.8, and the formula written out on dense counts.

numbers <- reference("_common")$hvg
counts_by_gene <- t(numbers$X_cells_by_genes)
dimnames(counts_by_gene) <- list(paste0("g", 0:59), paste0("c", 0:89))
dataset <- GeneExpressionDataset(counts_by_gene, numbers$batch)

test_that("seurat_v3 within batches is that of scvi 0.6.8", {
    table <- highly_variable_genes(dataset, n_top = 20)
    expect_identical(rownames(table), gene_names(dataset))
    expect_identical(table$highly_variable, numbers$seurat_v3.bc1.highly_variable == 1)
    expect_identical(table$highly_variable_nbatches, as.integer(numbers$seurat_v3.bc1.highly_variable_nbatches))
    expect_identical(table$highly_variable_intersection, numbers$seurat_v3.bc1.highly_variable_intersection == 1)
    expect_close(table$highly_variable_median_variance, numbers$seurat_v3.bc1.highly_variable_median_variance, 1e-10)
    # Genes whose variances are equal in a batch share ranks that no rule assigns to them in 0.6.8 (unstable sort).
    expected <- numbers$seurat_v3.bc1.highly_variable_median_rank
    differ <- table$highly_variable_median_rank != expected
    expect_identical(which(differ), c(20L, 28L, 32L, 35L, 57L))
    expect_lte(max(abs(table$highly_variable_median_rank - expected)), 1)
    # All of those occur in few cells, so that equal variances are no surprise.
    expect_lte(max(rowSums(counts_by_gene)[differ]), 6)
})

test_that("seurat_v3 over all cells is that of scvi 0.6.8", {
    table <- highly_variable_genes(dataset, n_top = 20, batch_correction = FALSE)
    expect_identical(table$highly_variable, numbers$seurat_v3.bc0.highly_variable == 1)
    # Two genes have the same mean (147 counts). loess() interpolates between the vertices of a tree, and whether a cell
    # of the tree ends at two equal points depends on whether they are equal to the last bit. They are here, they were
    # not where the reference was computed: three genes next to them get another, equally good, interpolation.
    near <- rowSums(counts_by_gene) %in% c(141, 142, 145)
    expected <- numbers$seurat_v3.bc0.highly_variable_median_variance
    expect_close(table$highly_variable_median_variance[!near], expected[!near], 1e-10)
    expect_close(table$highly_variable_median_variance[near], expected[near], 0.011)
    rank_difference <- abs(table$highly_variable_median_rank - numbers$seurat_v3.bc0.highly_variable_median_rank)
    expect_lte(max(rank_difference), 1)
    expect_lte(sum(rank_difference > 0), 4L)

    # With the tie broken in the last bit, as it was there, all numbers are the reference's.
    moments <- gene_moments(counts(dataset), 1:90)
    nudged <- moments$mean
    nudged[which(rowSums(counts_by_gene) == 147)[1L]] <- 147 / 90 * (1 + .Machine$double.eps)
    trend <- expected_variance(nudged, moments$var)
    clipped <- pmin(counts_by_gene, moments$mean + sqrt(trend * 90))
    expect_close(rowSums((clipped - moments$mean)^2) / (89 * trend), expected, 1e-10)
})

test_that("subsample_genes keeps the order of the data set, or that of the variance", {
    kept <- subsample_genes(dataset, 20)
    expect_identical(gene_names(kept), gene_names(dataset)[numbers$seurat_v3.bc1.highly_variable == 1])
    expect_identical(gene_names(subsample_genes(dataset, new_ratio_genes = 0.34)), gene_names(kept))
    pooled <- subsample_genes(dataset, 20, batch_correction = FALSE)
    expect_identical(gene_names(pooled), gene_names(dataset)[numbers$seurat_v3.bc0.highly_variable == 1])
    expect_identical(gene_names(subsample_genes(dataset, subset_genes = c("g5", "g2"))), c("g5", "g2"))

    small <- reference("_common")$dataset
    x <- t(small$X_cells_by_genes)
    dimnames(x) <- list(paste0("g", 0:11), NULL)
    with_empty <- suppressWarnings(GeneExpressionDataset(x, small$batch, empty_cells = "keep"))
    expect_message(kept <- subsample_genes(with_empty, 5, mode = "variance"), class = "rscvi_empty_cells")
    expect_identical(gene_names(kept), small$subsample_variance5.gene_names)
    expect_identical(nb_cells(kept), small$subsample_variance5.nb_cells)
})

test_that("moments are those of the dense counts, whatever the blocks", {
    for (entries in c(1, 500, Inf)) {
        blocks <- cell_blocks(counts(dataset), c(5:60, 3L), entries)
        expect_identical(unlist(blocks, use.names = FALSE), c(5:60, 3L))
    }
    stored <- diff(counts(dataset)@p)
    sizes <- vapply(cell_blocks(counts(dataset), 1:90, 500), function(b) sum(stored[b]), 1)
    expect_gt(length(sizes), 5L)
    expect_lte(max(sizes), 500 + max(stored))
    dense <- counts_by_gene[, 11:50]
    moments <- gene_moments(counts(dataset), 11:50)
    expect_close(moments$mean, rowMeans(dense), 1e-12)
    expect_close(moments$var, apply(dense, 1, var), 1e-12)
    # A large mean with a small variance keeps its digits.
    shifted <- GeneExpressionDataset(counts_by_gene + 1e8, numbers$batch)
    expect_close(gene_moments(counts(shifted), 11:50)$var, apply(dense, 1, var), 1e-7)
})

test_that("asking for all genes changes nothing, and wrong requests are named", {
    expect_message(same <- subsample_genes(dataset, 60), "60")
    expect_identical(same, dataset)
    expect_message(subsample_genes(dataset, new_ratio_genes = 1), "60")
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(subsample_genes(dataset, 20, mode = "cell_ranger"), "`mode`.*\"seurat_v3\".*\"variance\".*\"cell_ranger\"")
    refuse(subsample_genes(dataset), "Exactly one")
    refuse(subsample_genes(dataset, 20, 0.3), "Exactly one")
    refuse(subsample_genes(dataset, 0), "`new_n_genes`.*0")
    refuse(subsample_genes(dataset, new_ratio_genes = 1.2), "`new_ratio_genes`.*1.2")
    refuse(subsample_genes(dataset, new_ratio_genes = 0.001), "`new_ratio_genes`")
    refuse(highly_variable_genes(dataset, n_top = "20"), "`n_top`")
    few <- update_genes(dataset, 1:3)
    expect_error(highly_variable_genes(few, 2), "variance", class = "rscvi_failed_fit")
})
