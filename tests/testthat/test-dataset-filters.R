# Smaller and reordered data sets: the numbers of scvi 0.6.8, and subset = subset of the whole.

numbers <- reference("_common")$dataset
reference_counts <- t(numbers$X_cells_by_genes)
dimnames(reference_counts) <- list(paste0("g", 0:11), paste0("c", 0:29))
whole <- suppressWarnings(
    GeneExpressionDataset(reference_counts, numbers$batch, numbers$label_raw, empty_cells = "keep")
)
filtered <- filter_cells_by_count(whole)

test_that("cells are filtered by count as in scvi 0.6.8, and the prior is computed anew", {
    expect_identical(nb_cells(filtered), numbers$after_filter_cells.nb_cells)
    expect_close(local_means(filtered), c(numbers$after_filter_cells.local_means), 1e-6)
    expect_identical(nb_cells(whole), 30L)
    expect_identical(filter_cells_by_count(filtered), filtered)
    totals <- colSums(reference_counts)
    expect_identical(cell_names(filter_cells_by_count(whole, 20)), names(totals)[totals >= 20])
    expect_error(filter_cells_by_count(whole, 1e6), "min_count", class = "rscvi_invalid_argument")
})

test_that("genes are filtered by count and reordered as in scvi 0.6.8", {
    expect_identical(gene_names(filter_genes_by_count(filtered)), numbers$filter_genes_by_count1.gene_names)
    expect_identical(gene_names(filter_genes_by_count(filtered, 5, per_batch = TRUE)),
        numbers$filter_genes_by_count5_per_batch.gene_names)
    expect_identical(gene_names(reorder_genes(filtered, c("g7", "g2"))), numbers$reorder.gene_names)
    expect_message(dropped <- reorder_genes(filtered, c("g7", "g2"), drop_omitted_genes = TRUE), "7 of 29",
        class = "rscvi_empty_cells")
    expect_identical(gene_names(dropped), c("g7", "g2"))
    # Cells that the two genes leave without counts are gone.
    kept <- colSums(reference_counts[c("g7", "g2"), ]) > 0
    expect_identical(as.matrix(counts(dropped)), reference_counts[c("g7", "g2"), kept])
    expect_error(filter_genes_by_count(filtered, 1e6), "min_count", class = "rscvi_invalid_argument")
})

test_that("the cells with most counts are kept, as in scvi 0.6.8", {
    ten <- subsample_cells(filtered, 10)
    expect_identical(unname(t(as.matrix(counts(ten)))), numbers$subsample_cells10.X)
    expect_identical(counts(subsample_cells(filtered, 10 / 29)), counts(ten))
    expect_identical(nb_cells(subsample_cells(filtered, 1)), 29L)
    expect_error(subsample_cells(filtered, 30), "`size`", class = "rscvi_invalid_argument")
    expect_error(subsample_cells(filtered, 2.5), "`size`", class = "rscvi_invalid_argument")
    expect_error(subsample_cells(filtered, 0.01), "`size`", class = "rscvi_invalid_argument")
})

test_that("raw properties of two groups are those of scvi 0.6.8", {
    mask <- numbers$raw_props.mask1 == 1
    properties <- raw_counts_properties(filtered, mask, !mask)
    expected <- cbind(numbers$raw_props.raw_mean1, numbers$raw_props.raw_mean2, numbers$raw_props.nonz1,
        numbers$raw_props.nonz2, numbers$raw_props.norm_mean1, numbers$raw_props.norm_mean2)
    expect_identical(names(properties), c("mean1", "mean2", "nonz1", "nonz2", "norm_mean1", "norm_mean2"))
    expect_identical(rownames(properties), gene_names(filtered))
    expect_close(as.matrix(properties), expected, 1e-6)
    # Repeats count; a cell without counts adds nothing to the normalised mean.
    repeated <- raw_counts_properties(whole, c(1, 1, 5), "c4")
    expect_close(repeated$mean1, 2 / 3 * reference_counts[, 1], 1e-12)
    expect_identical(repeated$norm_mean2, rep(0, 12))
    expect_error(raw_counts_properties(whole, integer(0), 1), "`idx1`", class = "rscvi_invalid_argument")
    expect_error(raw_counts_properties(whole, 1, 31), "`idx2`.*31", class = "rscvi_invalid_argument")
})

test_that("subsets by index, mask and name are those of the whole, with everything that belongs to a cell", {
    values <- matrix(seq_len(60), 30)
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = reference_counts),
        colData = data.frame(b = numbers$batch, age = 1:30))
    dataset <- suppressWarnings(GeneExpressionDataset(sce, "b", proteins = values, empty_cells = "keep"))
    pick <- c(20, 3, 4, 9, 8, 1, 2, 7, 6)
    subset <- update_cells(dataset, pick)
    expect_identical(as.matrix(counts(subset)), reference_counts[, pick])
    expect_identical(unname(proteins(subset)), values[pick, ] * 1)
    expect_identical(cell_data(subset)$age, (1:30)[pick])
    expect_identical(as.integer(as.character(batch_indices(subset))), numbers$batch[pick])
    expect_identical(update_cells(dataset, paste0("c", pick - 1))@counts, counts(subset))
    mask <- seq_len(30) %in% pick
    expect_identical(as.matrix(counts(update_cells(dataset, mask))), reference_counts[, mask])
    expect_message(twice <- update_cells(dataset, c(1, 1, 7, 8, 10)), class = "rscvi_duplicated_names")
    expect_identical(cell_names(twice), c("c0", "c0.1", "c6", "c7", "c9"))
    expect_identical(rownames(cell_data(twice)), cell_names(twice))

    genes <- suppressMessages(update_genes(filtered, c(8, 2)))
    expect_identical(as.matrix(counts(genes)), reference_counts[c(8, 2), cell_names(genes)])
    expect_warning(genes <- update_genes(filtered, c(8, 2), empty_cells = "keep"), class = "rscvi_empty_cells")
    expect_identical(as.matrix(counts(genes)), reference_counts[c(8, 2), cell_names(filtered)])
    expect_error(update_genes(filtered, "g3"), class = "rscvi_empty_cells")
    expect_error(update_genes(filtered, "g1", empty_cells = "error"), class = "rscvi_empty_cells")
    expect_error(update_genes(filtered, "gene"), "\"gene\"", class = "rscvi_invalid_argument")
    expect_error(update_genes(filtered, c(1, 1)), "more than once", class = "rscvi_invalid_argument")
    expect_error(update_genes(filtered, integer(0)), "no gene", class = "rscvi_invalid_argument")
    expect_error(update_cells(filtered, 30), "1 to 29", class = "rscvi_invalid_argument")
    expect_error(update_cells(filtered, rep(FALSE, 29)), "no cell", class = "rscvi_invalid_argument")
    expect_error(update_cells(filtered, c(1, 2)), class = "rscvi_degenerate_batch")
    expect_error(update_cells(1, 1), "GeneExpressionDataset", class = "rscvi_invalid_argument")
})

test_that("batches without cells are dropped with a message, and the caches are not shared", {
    expect_message(subset <- update_cells(filtered, batch_indices(filtered) != "1"), "batch.*\"1\"",
        class = "rscvi_unused_levels")
    expect_identical(levels(batch_indices(subset)), c("0", "2"))
    expect_false(identical(subset@cache, filtered@cache))
})

test_that("genes are looked up by name, index or mask", {
    expect_identical(genes_to_index(whole, c("g7", "g0", "g7")), c(8L, 1L, 8L))
    expect_identical(genes_to_index(whole, c(3, 1)), c(3L, 1L))
    expect_identical(genes_to_index(whole, seq_len(12) == 2), 2L)
    expect_error(genes_to_index(whole, "g12"), "\"g12\"", class = "rscvi_invalid_argument")
})

test_that("cell types are filtered, merged, mapped and reordered", {
    expect_silent(some <- filter_cell_types(whole, c("3", "5")))
    expect_identical(cell_types(some), c("3", "5"))
    expect_identical(cell_names(some), cell_names(whole)[numbers$label_raw %in% c(3, 5)])
    expect_identical(cell_names(filter_cell_types(whole, 2:3)), cell_names(some))

    merged <- merge_cell_types(whole, c("5", "3"), "T")
    expect_identical(cell_types(merged), c("1", "T"))
    expect_identical(as.character(labels(merged)), ifelse(numbers$label_raw == 1, "1", "T"))
    mapped <- map_cell_types(whole, c("1" = "B", "5" = "B"))
    expect_identical(as.character(labels(mapped)), ifelse(numbers$label_raw == 3, "3", "B"))
    expect_identical(cell_types(map_cell_types(whole, list("3" = "x"))), c("1", "x", "5"))
    swapped <- map_cell_types(whole, c("1" = "3", "3" = "1"))
    expect_identical(as.character(labels(swapped))[1:2], c("3", "1"))

    reordered <- reorder_cell_types(whole, "5")
    expect_identical(cell_types(reordered), c("5", "1", "3"))
    expect_identical(as.character(labels(reordered)), as.character(labels(whole)))
    expect_identical(cell_types(whole), c("1", "3", "5"))

    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(filter_cell_types(whole, "7"), "`cell_types`.*\"7\".*\"1\", \"3\", and \"5\"")
    refuse(filter_cell_types(whole, 4), "`cell_types`.*4")
    refuse(merge_cell_types(whole, c("1", "1"), "x"), "more than once")
    refuse(merge_cell_types(whole, c("1", "3"), 5), "new_cell_type_name")
    refuse(map_cell_types(whole, c("a", "b")), "named")
    refuse(reorder_cell_types(whole, "x"), "`new_order`")
})
