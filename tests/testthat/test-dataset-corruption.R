# Corruption: its statistics are those of scvi 0.6.8, and it is a value with a seed.

numbers <- reference("_common")$dataset
poisson <- withr::with_seed(3, matrix(rpois(400 * 50, 3), 50))
dataset <- GeneExpressionDataset(poisson)

# [changed/all, changed/nonzero, zeroed/nonzero, sum ratio], as the reference measured them.
effects <- function(corruption, rate, seed) {
    before <- as.matrix(counts(dataset))
    after <- as.matrix(corrupted_counts(corrupt(dataset, rate, corruption, seed)))
    nonzero <- sum(before > 0)
    c(mean(before != after), sum(before != after) / nonzero, sum(before > 0 & after == 0) / nonzero,
        sum(after) / sum(before))
}

test_that("corruption changes as many counts as in scvi 0.6.8", {
    for (corruption in c("uniform", "binomial")) {
        for (rate in c(0.1, 0.5)) {
            prefix <- sprintf("corrupt.%s.rate%s.", corruption, rate)
            mean <- numbers[[paste0(prefix, "mean[changed/all,changed/nonzero,zeroed/nonzero,sum_ratio]")]]
            sd <- numbers[[paste0(prefix, "sd")]]
            ours <- vapply(1:10, function(seed) effects(corruption, rate, seed), numeric(4))
            # Two means of 10 seeds on different Poisson draws: 5 standard errors, and the spread between data sets.
            expect_true(all(abs(rowMeans(ours) - mean) < 5 * sd * sqrt(2 / 10) + 0.005 * mean),
                label = paste(prefix, "agrees with the reference"))
        }
    }
})

test_that("uniform corruption chooses among the non-zero counts and keeps a count or zeroes it", {
    corrupted <- corrupt(dataset, 1, "uniform", seed = 2)
    before <- counts(dataset)@x
    after <- corrupted@corrupted
    expect_true(all(after == before | after == 0))
    # All are chosen: a tenth becomes 0, within 5 standard deviations.
    n <- length(before)
    expect_lt(abs(sum(after == 0) - 0.1 * n), 5 * sqrt(n * 0.09))
})

test_that("binomial corruption draws from a fifth of the count", {
    corrupted <- corrupt(dataset, 1, "binomial", seed = 2)
    before <- counts(dataset)@x
    after <- corrupted@corrupted
    expect_true(all(after <= before & after >= 0 & after == floor(after)))
    expect_lt(abs(sum(after) - 0.2 * sum(before)), 5 * sqrt(0.16 * sum(before)))
})

test_that("corrupted counts lie beside the true ones, on the same pattern", {
    before <- counts(dataset)
    corrupted <- corrupt(dataset, 0.5, seed = 1)
    expect_identical(counts(corrupted), before)
    expect_identical(corrupted_counts(corrupted)@i, before@i)
    expect_identical(corrupted_counts(corrupted)@p, before@p)
    expect_identical(dimnames(corrupted_counts(corrupted)), dimnames(before))
    expect_null(uncorrupt(corrupted)@corrupted)
    expect_null(dataset@corrupted)
    expect_false(identical(corrupted@cache, dataset@cache))
    expect_identical(corrupt(dataset, 0)@corrupted, before@x)
    expect_true(validObject(corrupted))
    expect_output(show(corrupted), "corrupted: [0-9]+ of")
})

test_that("subsets carry the corruption of their cells and genes", {
    corrupted <- corrupt(dataset, 0.5, seed = 1)
    all <- as.matrix(corrupted_counts(corrupted))
    expect_identical(as.matrix(corrupted_counts(update_cells(corrupted, c(9, 3, 17)))), all[, c(9, 3, 17)])
    expect_identical(as.matrix(corrupted_counts(update_genes(corrupted, 40:3))), all[40:3, ])
    kept <- suppressMessages(update_genes(corrupted, 1:2))
    expect_identical(as.matrix(corrupted_counts(kept)), all[1:2, cell_names(kept)])
})

test_that("seeds decide: the argument, or set.seed() where it is NULL", {
    draw <- function(...) corrupt(dataset, 0.3, ...)@corrupted
    expect_identical(draw(seed = 5), draw(seed = 5))
    expect_false(identical(draw(seed = 5), draw(seed = 6)))
    first <- withr::with_seed(1, draw())
    expect_identical(withr::with_seed(1, draw()), first)
    expect_false(identical(withr::with_seed(2, draw()), first))
})

test_that("wrong arguments are named before anything is done", {
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    corrupted <- corrupt(dataset, 0.5, seed = 1)
    refuse(corrupt(corrupted, 0.5, "gaussian"), "`corruption`.*\"uniform\".*\"binomial\".*\"gaussian\"")
    refuse(corrupt(dataset, 1.5), "`rate`.*1.5")
    refuse(corrupt(dataset, -0.1), "`rate`")
    refuse(corrupt(dataset, NA), "`rate`")
    refuse(corrupt(dataset, seed = -1), "`seed`")
    refuse(corrupt(1), "GeneExpressionDataset")
    refuse(corrupted_counts(dataset), "corrupt")
})
