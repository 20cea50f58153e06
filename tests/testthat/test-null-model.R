# The null model, against its definition gene by gene.

null_dataset <- function() {
    counts <- withr::with_seed(1, matrix(as.numeric(stats::rnbinom(30 * 50, mu = rexp(30, 0.5), size = 0.7)), 30,
        dimnames = list(paste0("g", 1:30), paste0("c", 1:50))))
    counts[5, ] <- 0
    counts[1, ] <- counts[1, ] + 1
    GeneExpressionDataset(as_dgc(counts))
}

test_that("shares and dispersions are those of the definition", {
    dataset <- null_dataset()
    x <- as.matrix(counts(dataset))[, 11:50]
    null <- null_model(dataset, 11:50)
    total <- colSums(x)
    share <- pmax(rowSums(x), 0.5)
    share <- share / sum(share)
    expect_equal(null$share, unname(share))
    expect_equal(sum(null$share), 1)
    mu <- outer(share, total)
    alpha <- rowSums((x - mu)^2 - mu) / rowSums(mu^2)
    expect_equal(null$theta, unname(1 / pmax(alpha, 1e-4)))
    expect_identical(rownames(null), gene_names(dataset))
})

test_that("the likelihood is dnbinom()'s, in blocks as in one piece", {
    dataset <- null_dataset()
    null <- null_model(dataset, 11:50)
    x <- as.matrix(counts(dataset))[, 1:10]
    by_hand <- vapply(1:10, function(i) {
        -sum(dnbinom(x[, i], size = null$theta, mu = null$share * sum(x[, i]), log = TRUE))
    }, 0)
    expect_equal(unname(null_log_likelihood(null, dataset, 1:10)), by_hand)
    expect_identical(names(null_log_likelihood(null, dataset, c("c3", "c1"))), c("c3", "c1"))
    expect_equal(unname(null_losses(null, counts(dataset), 1:10, block_size = 70)), by_hand)
})

test_that("counts of the model itself give its parameters back", {
    theta <- rep(c(0.5, 2, 8), each = 10)
    share <- rep(1:10, 3) / sum(rep(1:10, 3))
    x <- withr::with_seed(2, {
        total <- round(exp(rnorm(4000, 7, 0.3)))
        matrix(as.numeric(stats::rnbinom(30 * 4000, mu = outer(share, total), size = theta)), 30)
    })
    null <- null_model(GeneExpressionDataset(as_dgc(x)))
    expect_equal(null$share, share, tolerance = 0.05)
    expect_equal(unname(tapply(log(null$theta), theta, mean)), log(c(0.5, 2, 8)), tolerance = 0.15,
        ignore_attr = TRUE)
})

test_that("what does not fit is refused", {
    dataset <- null_dataset()
    null <- null_model(dataset)
    expect_error(null_model(1), "gene_dataset", class = "rscvi_invalid_argument")
    expect_error(null_model(dataset, 60), "cells", class = "rscvi_invalid_argument")
    expect_error(null_model(dataset, rep(FALSE, 50)), class = "rscvi_empty_population")
    expect_error(null_log_likelihood(1, dataset), "model", class = "rscvi_invalid_argument")
    expect_error(null_log_likelihood(null[1:3, ], dataset), class = "rscvi_model_mismatch")
})
