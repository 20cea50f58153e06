# Contrasts from samples of scales: numbers of 0.6.8, all pairs against brute force, functions of the user's, bad input.

de_columns <- function(de, prefix) {
    names <- grep(paste0("^", prefix, "\\."), names(de), value = TRUE)
    stats::setNames(de[names], sub(paste0("^", prefix, "\\."), "", names))
}

expect_de <- function(table, de, prefix) {
    expected <- de_columns(de, prefix)
    expect_gt(length(expected), 4)
    for (name in names(expected)) {
        # Fold changes are differences of two logarithms of about -5, in single precision there: each is off by up to
        # 3e-7, however small it is itself. So they count by the size of a typical one.
        expect_close(table[[name]], expected[[name]], tolerance = 1e-4,
            floor = if (startsWith(name, "lfc")) 0.1 else 0.01)
    }
    # What 0.6.8 has in double precision.
    for (name in intersect(names(expected), c("proba_m1", "proba_m2", "proba_de", "proba_not_de", "bayes_factor"))) {
        expect_close(table[[name]], expected[[name]], tolerance = 1e-7)
    }
    expect_identical(names(table)[seq_along(expected)], names(expected))
}

for (folder in c("p1", "p2", "p3")) {
    test_that(paste(folder, "has the Bayes factors of 0.6.8"), {
        de <- reference(folder)$de
        contrast <- function(...) bayes_factors_from_scales(de$scale1, de$scale2, de$batch1, de$batch2, ...)
        expect_de(contrast(), de, "vanilla")
        expect_de(contrast(mode = "change", delta = 0.5, cred_interval_lvls = c(0.5, 0.9, 0.95)), de, "change")
        expect_de(contrast(mode = "change", delta = 0.1), de, "change_d0.1")
        expect_de(contrast(mode = "change", m1_domain_fn = function(r) r > 0.2), de, "change_m1_up_gt_0.2")
        expect_de(contrast(mode = "change", change_fn = function(a, b) a - b, delta = 0.01), de,
            "change_fn_diff_d0.01")
        expect_de(bayes_factors_from_scales(de$scale1, de$scale2, rep("a", nrow(de$scale1)), rep("b", nrow(de$scale2))),
            de, "vanilla_disjoint_batches")
    })
}

test_that("summaries and credible intervals are those of 0.6.8", {
    de <- reference("p1")$de
    expected <- de_columns(de, "describe")
    found <- summarise_columns_cpp(de$describe.samples, c(0.5, 0.94))
    for (name in c("mean", "median", "std", "min", "max")) expect_close(found[[name]], expected[[name]], 1e-7)
    for (k in 1:4) {
        name <- paste0("confidence_interval_", c("0.5_min", "0.5_max", "0.94_min", "0.94_max"))[k]
        expect_close(found$intervals[, k], expected[[name]], 1e-7)
    }
    interval <- summarise_columns_cpp(de$describe.samples[, 1, drop = FALSE], 0.8)$intervals
    expect_close(as.vector(interval), as.vector(de$credible_intervals_0.8_col0), 1e-7)
})

# Every quantity over all pairs, the slow way. Strata weigh the same.
brute_force <- function(scale1, scale2, strata, delta) {
    one <- function(g) {
        r <- lapply(strata, function(s) as.vector(outer(log2(scale1[s$first, g]), log2(scale2[s$second, g]), "-")))
        above <- lapply(strata, function(s) as.vector(outer(scale1[s$first, g], scale2[s$second, g], ">")))
        weights <- rep(1 / lengths(r) / length(r), lengths(r))
        r <- unlist(r)
        mean <- sum(weights * r)
        order <- order(r)
        reached <- cumsum(weights[order])
        half <- c(which(reached > 0.5 - 1e-12)[1L], which(reached > 0.5 + 1e-12)[1L])
        c(above = sum(weights * unlist(above)), outside = sum(weights * (abs(r) >= delta)),
            up = sum(weights * (r >= delta)), down = sum(weights * (r <= -delta)), mean = mean,
            std = sqrt(sum(weights * (r - mean)^2)), median = mean(r[order][half]), min = min(r), max = max(r))
    }
    vapply(seq_len(ncol(scale1)), one, numeric(9L))
}

test_that("all pairs are exactly what brute force finds, with and without ties, in one batch and in several", {
    worst <- 0
    for (run in 1:30) {
        set.seed(run)
        tied <- run %% 3 == 0
        n_batches <- 1 + run %% 3
        draw <- function(n) {
            x <- matrix(rgamma(n * 4, shape = 2, rate = rep(c(2, 2, 6, 0.5), each = n)), n)
            if (tied) ceiling(x * 3) / 4 else x
        }
        n1 <- n_batches * (5 + run)
        n2 <- n_batches * (3 + (run * 7) %% 40)
        scale1 <- draw(n1)
        scale2 <- draw(n2)
        batch1 <- rep(seq_len(n_batches), length.out = n1)
        batch2 <- rep(seq_len(n_batches), length.out = n2)
        strata <- lapply(seq_len(n_batches), function(b) list(first = which(batch1 == b), second = which(batch2 == b)))
        delta <- c(0, 0.25, 1)[1 + run %% 3]
        truth <- brute_force(scale1, scale2, strata, delta)
        found <- bayes_factors_from_scales(scale1, scale2, batch1, batch2, mode = "change", M_permutation = Inf,
            delta = delta)
        found_rows <- rbind(found$proba_de, found$proba_up, found$proba_down, found$lfc_mean, found$lfc_std,
            found$lfc_median, found$lfc_min, found$lfc_max)
        wanted <- truth[c("outside", "up", "down", "mean", "std", "median", "min", "max"), ]
        worst <- max(worst, abs(found_rows - wanted))
        vanilla <- bayes_factors_from_scales(scale1, scale2, batch1, batch2, M_permutation = Inf)
        worst <- max(worst, abs(vanilla$proba_m1 - truth["above", ]))
    }
    expect_lt(worst, 1e-12)
})

test_that("a scale of 0 gives infinite changes and sound probabilities", {
    scale1 <- matrix(c(0, 0, 1, 2), ncol = 1)
    scale2 <- matrix(c(0, 1, 1, 4), ncol = 1)
    r <- as.vector(outer(log2(scale1[, 1]), log2(scale2[, 1]), "-"))
    found <- bayes_factors_from_scales(scale1, scale2, mode = "change", M_permutation = Inf)
    expect_equal(found$proba_de, mean(!is.nan(r) & abs(r) >= 0.5))
    expect_equal(found$proba_up, mean(!is.nan(r) & r >= 0.5))
    expect_equal(found$proba_down, mean(!is.nan(r) & r <= -0.5))
    expect_true(is.nan(found$lfc_mean))
    # A pseudocount is what mends it.
    mended <- bayes_factors_from_scales(scale1, scale2, mode = "change", M_permutation = Inf, pseudocounts = 0.5)
    expect_equal(mended$lfc_mean, mean(outer(log2(scale1[, 1] + 0.5), log2(scale2[, 1] + 0.5), "-")))
})

test_that("all pairs have less than half of the squared error of 10,000 random pairs", {
    # r is normal, so that the P(DE) which ever more pairs of ever more samples approach is known.
    set.seed(1)
    n_genes <- 60
    n_samples <- 2500
    centre <- runif(n_genes, -1, 1)
    sd <- 0.8 * sqrt(2)
    p_population <- pnorm(-0.5, centre, sd) + pnorm(0.5, centre, sd, lower.tail = FALSE)
    draw <- function(shift) t(matrix(2^(rnorm(n_samples * n_genes, mean = shift, sd = 0.8)), n_genes))
    # A million pairs of the samples, formed here.
    p_million <- function(scale1, scale2) {
        first <- sample.int(n_samples, 1e6, replace = TRUE)
        second <- sample.int(n_samples, 1e6, replace = TRUE)
        vapply(seq_len(ncol(scale1)), function(g) {
            mean(abs(log2(scale1[, g])[first] - log2(scale2[, g])[second]) >= 0.5)
        }, numeric(1L))
    }
    errors <- vapply(1:12, function(run) {
        set.seed(100 + run)
        scale1 <- draw(centre)
        scale2 <- draw(0)
        found <- function(...) {
            bayes_factors_from_scales(scale1, scale2, mode = "change", delta = 0.5, use_permutation = TRUE, seed = run,
                ...)$proba_de
        }
        all <- found(M_permutation = Inf)
        random <- found(M_permutation = 10000)
        some <- seq_len(5)  # a million pairs of 60 genes take long
        million <- p_million(scale1[, some], scale2[, some])
        c(all_population = mean((all - p_population)^2), random_population = mean((random - p_population)^2),
            all_million = mean((all[some] - million)^2), random_million = mean((random[some] - million)^2))
    }, numeric(4L))
    mse <- rowMeans(errors)
    # Of the population: the error of all pairs is that of the samples alone. Measured: 0.45 of the other.
    expect_lt(mse[["all_population"]], 0.5 * mse[["random_population"]])
    # Of these samples: all that is left is the error of the million pairs, a hundredth of that of 10,000.
    expect_lt(mse[["all_million"]], 0.05 * mse[["random_million"]])
})

test_that("all pairs are exact in batches of unequal sizes, with clusters far apart, and with ties in great numbers", {
    set.seed(1)
    strata <- list(list(first = 1:14, second = 1:11), list(first = 15:27, second = 12:21), list(first = 28:40,
        second = 22:31))
    batch1 <- rep(1:3, c(14, 13, 13))
    batch2 <- rep(1:3, c(11, 10, 10))
    for (run in 1:10) {
        scale1 <- matrix(rgamma(160, 2), 40)
        scale2 <- matrix(rgamma(124, 2), 31)
        if (run > 5) {
            scale1 <- scale1 * 2^(40 * (run - 5) * rbinom(160, 1, 0.5))
            scale2 <- scale2 * 2^(40 * (run - 5) * rbinom(124, 1, 0.5))
        }
        truth <- brute_force(scale1, scale2, strata, 0.5)
        found <- bayes_factors_from_scales(scale1, scale2, batch1, batch2, mode = "change", M_permutation = Inf)
        expect_lt(max(abs(found$lfc_median - truth["median", ])), 1e-12)
        expect_lt(max(abs(found$proba_de - truth["outside", ])), 1e-12)
    }
    # Half of the differences are -2, half of them 2: the median is in the middle.
    many <- bayes_factors_from_scales(matrix(rep(c(1, 16), 3000)), matrix(4, 6000), mode = "change",
        M_permutation = Inf)
    expect_identical(many$lfc_median, 0)
    expect_identical(many$proba_up, 0.5)
})

test_that("pairs are taken within batches", {
    # The batch shifts both populations alike: within batches nothing differs.
    set.seed(1)
    shift <- rep(c(0, 5), each = 500)
    scale <- function() matrix(2^(shift + rnorm(1000, sd = 0.01)), ncol = 1)
    batch <- rep(c("a", "b"), each = 500)
    for (M in list(10000, Inf)) {
        within <- bayes_factors_from_scales(scale(), scale(), batch, batch, mode = "change", use_permutation = TRUE,
            M_permutation = M, seed = 1)
        expect_equal(within$proba_de, 0)
        across <- bayes_factors_from_scales(scale(), scale(), NULL, NULL, mode = "change", use_permutation = TRUE,
            M_permutation = M, seed = 1)
        expect_equal(across$proba_de, 0.5, tolerance = 0.05)
    }
})

test_that("the expected false discovery rate decides which genes are called", {
    p <- c(0.99, 0.5, 1, 0.97, 0.90)
    # By falling p the mean of 1 - p is 0, 0.005, 0.0133, 0.035, 0.128.
    expect_identical(expected_fdr_calls(p, 0.02), c(TRUE, FALSE, TRUE, TRUE, FALSE))
    expect_identical(expected_fdr_calls(p, 0.05), c(TRUE, FALSE, TRUE, TRUE, TRUE))
    expect_identical(expected_fdr_calls(c(0.1, 0.2), 0.05), c(FALSE, FALSE))
    table <- bayes_factors_from_scales(matrix(1:4, 4) * 2, matrix(1, 4), mode = "change", fdr_target = 0.05)
    expect_true(table$is_de_fdr_0.05)
})

test_that("bad input is named", {
    x <- matrix(runif(20), 10)
    bad <- function(..., class = "rscvi_invalid_argument", match) {
        expect_error(bayes_factors_from_scales(...), match, class = class)
    }
    bad("x", x, match = "scale1")
    bad(-x, x, match = "scale1")
    bad(x, x[, 1, drop = FALSE], match = "same genes")
    bad(x, x[1:5, ], match = "permutation")
    bad(x, x, mode = "both", match = "mode")
    bad(x, x, mode = "change", delta = -1, match = "delta")
    bad(x, x, mode = "change", cred_interval_lvls = 1, match = "cred_interval_lvls")
    bad(x, x, mode = "change", cred_interval_lvls = c(0.5, 0), match = "cred_interval_lvls")
    bad(x, x, mode = "change", change_fn = function(a) a, match = "change_fn.* must take 2")
    bad(x, x, mode = "change", change_fn = function(a, b) 1, match = "change_fn.*must return")
    bad(x, x, mode = "change", change_fn = function(a, b) a * NaN, match = "change_fn.*missing")
    bad(x, x, mode = "change", change_fn = function(a, b) stop("no"), match = "change_fn.*failed")
    bad(x, x, mode = "change", change_fn = "ratio", match = "change_fn")
    bad(x, x, mode = "change", m1_domain_fn = function() TRUE, match = "m1_domain_fn")
    bad(x, x, mode = "change", m1_domain_fn = function(r) TRUE, match = "m1_domain_fn.*must return")
    bad(x, x, mode = "change", M_permutation = Inf, change_fn = function(a, b) a - b, match = "M_permutation")
    bad(x, x, M_permutation = 0, match = "M_permutation")
    bad(x, x, mode = "change", pseudocounts = -1, match = "pseudocounts")
    bad(x, x, fdr_target = 0.05, match = "fdr_target")
    bad(x, x, mode = "change", fdr_target = 2, match = "fdr_target")
    bad(x, x, batch1 = 1:3, match = "batch1")
})

test_that("one side alone may have batches", {
    x <- matrix(stats::rgamma(60, 2), 20)
    y <- matrix(stats::rgamma(60, 2), 20)
    expect_identical(bayes_factors_from_scales(x, y, batch1 = rep(c("a", "b"), 10)), bayes_factors_from_scales(x, y))
    expect_identical(bayes_factors_from_scales(x, y, batch2 = 1:20), bayes_factors_from_scales(x, y))
})

test_that("two scales of 0 are no change, however it is asked", {
    zero <- matrix(c(0, 0, 0, 0, 1, 2), 3)  # a gene that is nowhere, one that is here and there
    ask <- function(...) {
        bayes_factors_from_scales(zero, zero, mode = "change", ...)[c("proba_de", "proba_up", "proba_down")]
    }
    for (delta in c(0, 0.5)) {
        expect_equal(unlist(ask(delta = delta)[1, ]), c(proba_de = 0, proba_up = 0, proba_down = 0))
        expect_equal(ask(delta = delta, M_permutation = Inf)[1, ], ask(delta = delta)[1, ])
        # All pairs by hand: 0 against 0 is one of nine.
        pairs <- expand.grid(log2(zero[, 2]), log2(zero[, 2]))
        r <- pairs[[1]] - pairs[[2]]
        expect_equal(ask(delta = delta, M_permutation = Inf)$proba_de[2], mean(!is.na(r) & abs(r) >= delta))
        expect_equal(ask(delta = delta, m1_domain_fn = function(r) abs(r) >= delta), ask(delta = delta))
    }
    expect_error(ask(pseudocounts = Inf), "pseudocounts", class = "rscvi_invalid_argument")
})

test_that("a function that turns pairs and genes round is refused", {
    x <- matrix(stats::rgamma(40, 2), 20)
    expect_error(bayes_factors_from_scales(x, x, mode = "change", change_fn = function(a, b) t(a - b)),
        "change_fn.*20 x 2 pairs and genes.*2 x 20", class = "rscvi_invalid_argument")
    expect_error(bayes_factors_from_scales(x, x, mode = "change", m1_domain_fn = function(r) t(r > 0)),
        "m1_domain_fn.*2 x 20", class = "rscvi_invalid_argument")
})
