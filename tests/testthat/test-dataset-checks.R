# Bad input to the constructor: each refusal by class, with the argument, the value and what is legal.

test_that("counts that are no counts are refused, with the first one named", {
    spoil <- function(value) {
        x <- toy
        x[7, 9] <- value
        x[8, 10] <- value
        x
    }
    refuse <- function(x, ...) expect_error(GeneExpressionDataset(x), ..., class = "rscvi_invalid_counts")
    refuse(spoil(-2), "negative values \\(2\\), first -2 .*\"g7\".*\"c9\"")
    refuse(spoil(1.5), "fractional values \\(2\\), first 1.5 .*\"g7\".*\"c9\"")
    refuse(spoil(NA), "missing or infinite values \\(2\\), first NA .*\"g7\".*\"c9\"")
    refuse(spoil(Inf), "missing or infinite values \\(2\\), first Inf .*\"g7\".*\"c9\"")
    refuse(as_dgc(spoil(NaN)), "missing or infinite")
    sce <- SingleCellExperiment::SingleCellExperiment(list(logcounts = log1p(toy), counts = toy))
    expect_error(GeneExpressionDataset(sce, assay.type = "logcounts"), "log-transformed.*also has \"counts\"",
        class = "rscvi_invalid_counts")
    expect_error(GeneExpressionDataset(matrix("1", 3, 3)), "character", class = "rscvi_invalid_argument")
    expect_error(GeneExpressionDataset(1:3), "`x`", class = "rscvi_invalid_argument")
    expect_error(GeneExpressionDataset(as.data.frame(toy)), "`x`", class = "rscvi_invalid_argument")
})

test_that("empty cells are refused, dropped or kept", {
    x <- toy
    x[, c(5, 9)] <- 0
    expect_error(GeneExpressionDataset(x), "2 of 24, first \"c5\".*drop", class = "rscvi_empty_cells")
    expect_message(dataset <- GeneExpressionDataset(x, toy_batch, empty_cells = "drop"), "2 of 24",
        class = "rscvi_empty_cells")
    expect_identical(cell_names(dataset), colnames(toy)[-c(5, 9)])
    expect_identical(as.character(batch_indices(dataset)), toy_batch[-c(5, 9)])
    expect_warning(dataset <- GeneExpressionDataset(x, empty_cells = "keep"), "taken as 0", class = "rscvi_empty_cells")
    expect_close(local_means(dataset)[1], mean(ifelse(colSums(x) > 0, log(colSums(x)), 0)), 1e-6)
    expect_error(GeneExpressionDataset(toy * 0, empty_cells = "drop"), class = "rscvi_empty_cells")
    expect_error(GeneExpressionDataset(toy, empty_cells = "hide"), "empty_cells.*hide",
        class = "rscvi_invalid_argument")
})

test_that("batches without a prior variance are refused by name", {
    batch <- c("lonely", rep("many", 23))
    expect_error(GeneExpressionDataset(toy, batch), "\"lonely\".*one cell", class = "rscvi_degenerate_batch")
    even <- toy
    even[1, ] <- 200 - colSums(toy[-1, ])
    expect_error(GeneExpressionDataset(even), "same number of counts", class = "rscvi_degenerate_batch")
})

test_that("other wrong arguments are named, with what is legal", {
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(GeneExpressionDataset(toy[0, ]), "0 genes")
    refuse(GeneExpressionDataset(toy[, 0]), "0 cells")
    refuse(GeneExpressionDataset(toy, batch = 1:3), "`batch`.*24.*3")
    refuse(GeneExpressionDataset(toy, labels = "type"), "`labels`.*\"type\"")
    refuse(GeneExpressionDataset(toy, batch = c(NA, toy_batch[-1])), "`batch`.*NA.*1 of 24")
    refuse(GeneExpressionDataset(toy, labels = rep(NA, 24)), "`labels`.*NA.*all 24")
    refuse(GeneExpressionDataset(toy, batch = as.list(toy_batch)), "`batch`")
    refuse(GeneExpressionDataset(toy, assay = "RNA"), "`assay`")
    refuse(GeneExpressionDataset(toy, batches = toy_batch), "batches")
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = toy), colData = data.frame(donor = toy_batch))
    refuse(GeneExpressionDataset(sce, "batch"), "`batch`.*\"batch\".*\"donor\"")
    refuse(GeneExpressionDataset(sce, labels = "type"), "`labels`.*\"type\".*\"donor\"")
    refuse(GeneExpressionDataset(sce, assay.type = "umi"), "`assay.type`.*\"umi\".*\"counts\"")
    refuse(GeneExpressionDataset(sce, assay = "counts"), "assay.type")
})
