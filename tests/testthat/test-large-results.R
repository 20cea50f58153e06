# Results of megabytes lie in memory that the package maps itself, and are R vectors all the same.

large <- function() {
    sce <- example_pbmc()
    dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
    Posterior(VAE(dataset, n_hidden = 8, n_latent = 2, seed = 1), dataset)
}
collected <- function() {
    for (k in 1:3) gc(verbose = FALSE)
    mapped_bytes_cpp()
}
post <- large()
scale <- get_sample_scale(post, return_df = TRUE, seed = 1)
plain <- function(x) x + 0 # R's own memory

test_that("a data.frame and a matrix of that size hold what small ones hold", {
    expect_gt(mapped_bytes_cpp(), if (Sys.info()[["sysname"]] == "Linux") 8 * nrow(scale) * ncol(scale) - 1 else -1)
    expect_equal(unname(rowSums(scale)), rep(1, nrow(scale)), tolerance = 1e-5)
    some <- gene_names(post@gene_dataset)[c(2, 40, 900)]
    expect_identical(get_sample_scale(post, gene_list = some, seed = 1), scale[some])
    expect_identical(get_sample_scale(post, seed = 1), as.matrix(scale))
    rate <- imputation(post, seed = 1)
    expect_identical(dim(rate), dim(scale))
    expect_identical(unname(rate[, 40]), unname(imputation(post, gene_list = some, seed = 1)[, 2]))
    counts <- generate(post, n_samples = 2, seed = 1)[[1]]
    expect_type(counts, "integer")
    expect_identical(plain(counts), counts + 0)
})

test_that("they are copied, changed, sorted, subset and saved as any vector is", {
    gene <- scale[[3]]
    kept <- plain(gene)
    changed <- gene
    changed[2] <- -1
    expect_identical(gene, kept)
    expect_identical(scale[[3]], kept)
    expect_identical(changed[-2], kept[-2])
    expect_identical(sort(gene), sort(kept))
    expect_identical(gene[c(5, 1, NA)], kept[c(5, 1, NA)])
    expect_identical(range(gene), range(kept))
    expect_identical(unserialize(serialize(scale, NULL)), scale)
    file <- withr::local_tempfile()
    saveRDS(scale, file, compress = FALSE)
    expect_identical(readRDS(file), scale)
    expect_equal(as.numeric(object.size(scale)), as.numeric(object.size(as.data.frame(lapply(scale, plain)))),
        tolerance = 0.05)
})

test_that("their memory goes when nobody has them, column by column, and one column keeps no others", {
    skip_on_os(c("windows", "mac", "solaris"))
    before <- collected()
    again <- get_sample_scale(post, return_df = TRUE, seed = 2)
    bytes <- 8 * nrow(again) * ncol(again)
    expect_equal(mapped_bytes_cpp() - before, bytes)
    gene <- again[[7]]
    kept <- plain(gene)
    rm(again)
    expect_equal(collected() - before, 8 * length(gene))
    expect_identical(gene, kept)
    rm(gene)
    expect_equal(collected(), before)
})

test_that("a loop that drops its results does not pile them up", {
    skip_on_os(c("windows", "mac", "solaris"))
    before <- collected()
    most <- 0
    for (k in 1:75) {
        imputation(post, seed = k)
        most <- max(most, mapped_bytes_cpp() - before)
    }
    expect_lt(most, 2^30 + 2^25)
})
