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
    theta <- function(w) {
        alpha <- as.vector(((x - mu)^2 - mu) %*% w) / as.vector(mu^2 %*% w)
        exp(pmin(pmax(log(1 / pmax(alpha, 0)), -7), 5))
    }
    both <- cbind(theta(rep(1, 40)), theta(1 / total))
    log_p <- apply(both, 2, function(size) rowSums(dnbinom(x, size = size, mu = mu, log = TRUE)))
    expect_equal(null$theta, unname(ifelse(log_p[, 1] >= log_p[, 2], both[, 1], both[, 2])))
    # Both are chosen by some gene, a gene without counts is as a Poisson variable, and none is beyond the limits.
    expect_gt(sum(log_p[, 1] > log_p[, 2]), 3)
    expect_gt(sum(log_p[, 1] < log_p[, 2]), 3)
    expect_equal(null$theta[5], exp(5))
    expect_identical(rownames(null), gene_names(dataset))
})

test_that("cells without counts change nothing, and counts of nothing at all have a model", {
    x <- as.matrix(counts(null_dataset()))
    with_empty <- cbind(x, matrix(0, 30, 20, dimnames = list(NULL, paste0("e", 1:20))))
    dataset <- suppressWarnings(GeneExpressionDataset(as_dgc(with_empty), empty_cells = "keep"))
    expect_equal(null_model(dataset), null_model(dataset, 1:50))
    expect_identical(unname(null_log_likelihood(null_model(dataset, 1:50), dataset, 51:70)), rep(0, 20))
    of_nothing <- null_model(dataset, 51:70)
    expect_equal(of_nothing$share, rep(1 / 30, 30))
    expect_equal(of_nothing$theta, rep(exp(5), 30))
})

test_that("dispersions are compared on some cells of many", {
    dataset <- null_dataset()
    whole <- fit_null_model(counts(dataset), 1:50)
    few <- fit_null_model(counts(dataset), 1:50, n_compared = 300)
    expect_identical(few$share, whole$share)
    expect_gt(mean(few$theta == whole$theta), 0.5)
    expect_identical(fit_null_model(counts(dataset), 1:50, n_compared = 30 * 50), whole)
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
