# Results of megabytes lie in memory that the package maps itself, and are R vectors all the same.

n_cells <- 9000L
n_genes <- 64L
many <- withr::with_seed(1, {
    x <- matrix(rpois(n_cells * n_genes, 1), n_genes, n_cells)
    x[1L, ] <- x[1L, ] + 1L
    dimnames(x) <- list(paste0("gene", seq_len(n_genes)), paste0("cell", seq_len(n_cells)))
    GeneExpressionDataset(methods::as(x, "CsparseMatrix"))
})
post <- Posterior(VAE(many, n_hidden = 8, n_latent = 2, library = "observed", seed = 1), many)
some <- c("gene2", "gene17", "gene60")
columns <- function(...) get_sample_scale(post, return_df = TRUE, ...)
scale <- columns(seed = 1)
plain <- function(x) x + 0 # R's own memory
on_linux <- Sys.info()[["sysname"]] == "Linux"
collected <- function() {
    for (k in 1:3) gc(verbose = FALSE)
    mapped_bytes_cpp()
}
resident <- function() {
    line <- grep("^VmRSS:", readLines("/proc/self/status"), value = TRUE)
    1024 * as.numeric(gsub("[^0-9]", "", line))
}

test_that("a data.frame, a matrix and an array of that size hold what small ones hold", {
    if (on_linux) expect_gte(mapped_bytes_cpp(), 8 * n_cells * n_genes)
    expect_equal(unname(rowSums(scale)), rep(1, n_cells), tolerance = 1e-5)
    expect_identical(columns(gene_list = some, seed = 1), scale[some])
    expect_identical(get_sample_scale(post, seed = 1), as.matrix(scale))
    rate <- imputation(post, seed = 1)
    expect_identical(rate[, some], imputation(post, gene_list = some, seed = 1))
    # Whole numbers, three ways: as a whole, element by element, and against numbers of R's own memory.
    counts <- generate(post, n_samples = 2, seed = 1)$x_new
    expect_type(counts, "integer")
    expect_identical(dim(counts), c(n_cells, n_genes, 2L))
    expect_equal(mean(counts), mean(cell_totals(many)) / n_genes, tolerance = 0.5)
    part <- counts[100:120, , 2]
    expect_identical(vapply(100:120, function(cell) counts[cell, 3, 2], 0L), unname(part[, 3]))
    expect_identical(sum(counts[, 5, 1]), sum(as.integer(plain(counts[, 5, 1]))))
    sums <- vapply(seq_len(n_genes), function(gene) sum(plain(counts[, gene, 1])), 0)
    expect_identical(unname(colSums(counts[, , 1])), sums)
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
    expect_identical(object.size(gene), object.size(kept))
})

test_that("a column that goes leaves the others as they are, and one that stays keeps none of them", {
    skip_if_not(on_linux)
    before <- collected()
    again <- columns(seed = 2)
    values <- lapply(again, plain)
    expect_equal(mapped_bytes_cpp() - before, 8 * n_cells * n_genes)
    again[c(1, 7, 8, 30)] <- NULL
    expect_equal(collected() - before, 8 * n_cells * (n_genes - 4))
    expect_identical(lapply(again, plain), values[-c(1, 7, 8, 30)])
    gene <- again[[20]]
    rm(again)
    expect_equal(collected() - before, 8 * n_cells)
    expect_identical(gene, values[-c(1, 7, 8, 30)][[20]])
    rm(gene)
    expect_equal(collected(), before)
})

test_that("single columns of many results cost what they hold", {
    skip_if_not(on_linux)
    invisible(collected())
    before <- resident()
    # 40 of 4.6 MB each, of which a column of 72 kB is kept
    kept <- lapply(1:40, function(seed) columns(seed = seed)[["gene3"]])
    expect_length(kept[[40]], n_cells)
    invisible(collected())
    expect_lt(resident() - before, 40e6)
})

test_that("a loop that drops its results does not pile them up", {
    skip_if_not(on_linux)
    before <- collected()
    most <- 0
    for (k in 1:40) {
        generate(post, n_samples = 14, seed = k) # 32 MB
        most <- max(most, mapped_bytes_cpp() - before)
    }
    expect_lt(most, 2^30 + 2^25)
})

test_that("results that share the pages of one that went keep their numbers apart", {
    skip_if_not(on_linux)
    before <- collected()
    reference <- lapply(columns(seed = 3), plain)
    for (times in 1:2) {
        dropped <- generate(post, n_samples = 14, seed = 3) # 32 MB
        rm(dropped)
        expect_equal(collected(), before)
        one <- columns(seed = 3) # 4.6 MB, a part of those pages
        two <- columns(seed = 4)
        three <- columns(seed = 3)
        expect_identical(lapply(one, plain), reference)
        expect_identical(lapply(three, plain), reference)
        expect_false(identical(plain(two[[2]]), reference[[2]]))
        expect_equal(mapped_bytes_cpp() - before, 3 * 8 * n_cells * n_genes)
        rm(one, two, three)
        expect_equal(collected(), before)
    }
})

test_that("pages of results that went serve the next ones", {
    skip_if_not(on_linux)
    large <- function() generate(post, n_samples = 14, seed = 1) # 32 MB
    size <- 4 * 14 * n_cells * n_genes
    invisible(large())
    before <- collected()
    spare <- spare_bytes_cpp()
    expect_gte(spare, size)
    again <- large()
    expect_equal(mapped_bytes_cpp() - before, size)
    expect_equal(spare_bytes_cpp(), spare - size, tolerance = 1e-3)
    rm(again)
    expect_equal(collected(), before)
    expect_equal(spare_bytes_cpp(), spare)
})
