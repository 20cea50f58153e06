# The example of scvi's class Posterior, word for word, on the cortex cells that are here: CortexDataset() downloads.

cortex_cells <- function() {
    data <- readRDS(test_path("zeisel_subset.rds"))
    SingleCellExperiment::SingleCellExperiment(list(counts = data$counts),
        colData = S4Vectors::DataFrame(level1class = as.character(data$labels)))
}

test_that("CortexDataset()'s 558 genes are those with the largest variance", {
    sce <- cortex_cells()
    dataset <- cortex_dataset(sce, NULL, 558L)
    variance <- apply(as.matrix(SingleCellExperiment::counts(sce)), 1, var)
    expect_identical(gene_names(dataset), names(sort(variance, decreasing = TRUE))[1:558])
    expect_identical(c(table(labels(dataset))),
        c("endothelial-mural" = 235L, "interneurons" = 290L, "pyramidal CA1" = 939L))
})

test_that("the script posterior_example.R runs, and what it asks has sensible answers", {
    # What the script calls CortexDataset; with 200 genes, as the 100 draws a cell of 558 take 0.6 GB.
    place <- new.env(parent = globalenv())
    place$CortexDataset <- function() cortex_dataset(cortex_cells(), NULL, 200L)
    withr::local_seed(1)
    withr::local_pdf(NULL)
    script <- system.file("scripts", "posterior_example.R", package = "rscvi", mustWork = TRUE)
    said <- NULL
    withCallingHandlers(
        utils::capture.output(source(script, local = place)),
        rscvi_deprecated = function(w) {
            said <<- c(said, "deprecated")
            invokeRestart("muffleWarning")
        },
        message = function(m) {
            said <<- c(said, conditionMessage(m))
            invokeRestart("muffleMessage")
        }
    )
    expect_identical(said[1], "deprecated")
    expect_match(said[2], "batch")
    expect_length(said, 2)
    expect_null(place$mixing)

    post <- train_set(place$trainer)
    n <- nb_cells(post)
    expect_identical(n, 1317L)
    expect_identical(model(post)@options$n_batch, 0L)
    expect_identical(max(history(place$trainer)$epoch), 50)
    expect_identical(dim(place$stats$px_scales), c(100L * n, 200L))
    expect_identical(place$stats$labels[c(1, 100, 101)], raw_data(post)$labels[c(1, 1, 2)])
    # The transporter of interneurons' transmitter: 38 times the share of the counts that it has in pyramidal cells.
    slc6a1 <- tapply(place$stats$px_scales[, "Slc6a1"], place$stats$labels, mean)
    expect_gt(slc6a1[["interneurons"]], 10 * slc6a1[["pyramidal CA1"]])
    # Trained, it explains held-out cells far better than at the start, and cell types are apart.
    held_out <- test_set(place$trainer)
    untrained <- Posterior(VAE(place$gene_dataset, seed = 1), place$gene_dataset, indices = indices(held_out))
    expect_lt(reconstruction_error(held_out, seed = 1), 0.2 * reconstruction_error(untrained, seed = 1))
    expect_gt(knn_purity(post), 0.9)
    expect_s3_class(place$picture, "ggplot")
    expect_identical(nrow(place$picture$data), 1000L)
    shown <- place$picture$data
    expect_identical(as.character(shown$colour), as.character(raw_data(post)$labels[shown$cell]))
})
