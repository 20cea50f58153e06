# The download is replaced by a made-up object of the same form; tests/realdata/test-cortex.R has real cells.

# 6 genes x 8 cells with the variances 0, 1, 4, ..., in another order, and spike-ins as an alternative experiment.
made_up_cortex <- function() {
    spread <- c(Tspan12 = 3, Sst = 1, Npy = 5, Mbp = 0, Reln = 4, Gad1 = 2)
    counts <- 10 + outer(spread, rep(c(-1, 1), each = 4))
    counts["Sst", ] <- counts["Sst", ] + 5
    counts[, 1] <- counts[, 1] + 1  # or the library prior has no variance
    dimnames(counts) <- list(names(spread), paste0("X", 1:8))
    spike_ins <- SingleCellExperiment::SingleCellExperiment(list(counts = matrix(1000, 2, 8,
        dimnames = list(c("ERCC-1", "ERCC-2"), colnames(counts)))))
    SingleCellExperiment::SingleCellExperiment(list(counts = counts), altExps = list(ERCC = spike_ins),
        colData = S4Vectors::DataFrame(level1class = rep(c("pyramidal SS", "interneurons"), 4),
            level2class = rep(c("S1PyrL4", "Int10"), 4)))
}

test_that("CortexDataset() keeps the genes that vary most, in this order, and labels cells by their type", {
    dataset <- cortex_dataset(made_up_cortex(), NULL, 4L)
    expect_identical(gene_names(dataset), c("Npy", "Reln", "Tspan12", "Gad1"))
    expect_identical(nb_cells(dataset), 8L)
    expect_identical(n_batches(dataset), 1L)
    expect_identical(cell_types(dataset), c("interneurons", "pyramidal SS"))
    expect_identical(as.character(labels(dataset)), rep(c("pyramidal SS", "interneurons"), 4))
    expect_identical(cell_data(dataset)$level2class, rep(c("S1PyrL4", "Int10"), 4))
    expect_identical(unname(counts(dataset)["Npy", ]), c(6, 5, 5, 5, 15, 15, 15, 15))
    # The prior is that of the genes that stay.
    expect_equal(library_prior(dataset)$mean, mean(log(Matrix::colSums(counts(dataset)))), tolerance = 1e-6)
})

test_that("genes to keep come first, count among the total, and may be written in capitals", {
    genes_of <- function(...) gene_names(cortex_dataset(made_up_cortex(), ...))
    expect_identical(genes_of(c("Mbp", "Reln"), 4L), c("Mbp", "Reln", "Npy", "Tspan12"))
    expect_identical(genes_of(c("MBP", "RELN"), 4L), c("Mbp", "Reln", "Npy", "Tspan12"))
    expect_identical(genes_of(c("Gad1", "GAD1", "Sst"), 1L), c("Gad1", "Sst"))
    expect_identical(genes_of(c("Gad1", "Sst"), NULL), c("Gad1", "Sst"))
    # In the order of the source.
    expect_identical(genes_of(NULL, NULL), c("Tspan12", "Sst", "Npy", "Mbp", "Reln", "Gad1"))
    expect_setequal(genes_of(NULL, 558L), c("Tspan12", "Sst", "Npy", "Mbp", "Reln", "Gad1"))
    expect_error(cortex_dataset(made_up_cortex(), c("Sst", "Foo", "ERCC-1"), 3L), "Foo.*ERCC-1",
        class = "rscvi_invalid_argument")
})

test_that("arguments are checked before anything is downloaded", {
    expect_error(CortexDataset(genes_to_keep = 1:3), "genes_to_keep", class = "rscvi_invalid_argument")
    expect_error(CortexDataset(total_genes = 0), "total_genes", class = "rscvi_invalid_argument")
})

test_that("without the package or without a network, an error says what to do", {
    expect_error(load_cortex(installed = FALSE), "scRNAseq.*BiocManager", class = "rscvi_missing_package")
    offline <- function() stop("Could not resolve host: {experimenthub}")
    error <- expect_error(load_cortex(TRUE, offline), class = "rscvi_download_failed")
    expect_match(conditionMessage(error), "resolve host: {experimenthub}", fixed = TRUE)
    expect_match(conditionMessage(error), "ZeiselBrainData", fixed = TRUE)
    expect_identical(load_cortex(TRUE, made_up_cortex), made_up_cortex())
    skip_if(requireNamespace("scRNAseq", quietly = TRUE), "scRNAseq is installed")
    expect_error(CortexDataset(), "scRNAseq", class = "rscvi_missing_package")
})
