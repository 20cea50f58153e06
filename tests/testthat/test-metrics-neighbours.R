# Scores from nearest neighbours, against scvi 0.6.8 and against brute force.

folders <- c("p1_vae_zinb_gene", "p2_vae_nb_genebatch_2layers", "p3_vae_poisson_ln_nobatch")
utils_of <- function(folder) reference(folder)$utils
quiet <- function(expr) suppressWarnings(expr, classes = "rscvi_few_cells")

for (folder in folders) {
    u <- utils_of(folder)
    cases <- sub("ebm_per_cell.", "", grep("^ebm_per_cell", names(u), value = TRUE), fixed = TRUE)

    test_that(paste(folder, "mixes batches as in 0.6.8"), {
        expect_gte(length(cases), 2)
        for (case in cases) {
            parts <- strsplit(case, ".k", fixed = TRUE)[[1]]
            batch <- u[[parts[1]]]
            k <- as.integer(parts[2])
            per_cell <- u[[paste0("ebm_per_cell.", case)]]
            expect_equal(neighbour_entropy(unname(u$latent), factor(batch), k), as.vector(per_cell), tolerance = 1e-12)
            exact <- entropy_batch_mixing(u$latent, batch, k, n_pools = Inf)
            expect_equal(exact, mean(per_cell), tolerance = 1e-12)
            # The random estimate, and the five that 0.6.8 drew itself: 10 pools of 50.
            standard_error <- stats::sd(per_cell) / sqrt(10 * 50)
            drawn <- entropy_batch_mixing(u$latent, batch, k, n_pools = 10, n_samples_per_pool = 50, seed = 1)
            expect_lt(abs(drawn - exact), 3 * standard_error)
            theirs <- mean(u[[paste0("ebm_reference_5reps.", case)]])
            expect_lt(abs(theirs - exact), 3 * standard_error / sqrt(5))
        }
    })

    test_that(paste(folder, "has the purity of 0.6.8"), {
        expect_equal(knn_purity(u$latent, u$label), u$knn_purity.k30, tolerance = 1e-12)
        expect_equal(knn_purity(u$latent, u$label, n_neighbors = 10), u$knn_purity.k10, tolerance = 1e-12)
    })

    test_that(paste(folder, "overlaps with proteins as in 0.6.8"), {
        for (k in c(100, 20)) {
            score <- quiet(nn_overlap_score(u$latent, u$protein, k))
            expect_equal(unlist(score, use.names = FALSE), u[[paste0("nn_overlap.k", k)]], tolerance = 1e-10)
        }
        expect_identical(quiet(nn_overlap_score(u$latent, u$protein)),
            quiet(nn_overlap_score(u$latent, u$protein, 100)))
    })

    test_that(paste(folder, "imputes from neighbours as 0.6.8 does"), {
        expression <- t(as.matrix(reference(folder)$counts))[, 1:5]
        known <- seq_len(nrow(u$latent) / 2)
        asked <- length(known) + 1:6
        imputed <- proximity_imputation(u$latent[known, ], expression[known, ], u$latent[asked, ])
        expect_equal(unname(imputed), u$proximity_imputation.k4, tolerance = 1e-10)
        expect_identical(colnames(imputed), colnames(expression))
    })
}

test_that("the scores are what their definitions say, for any number of batches", {
    for (seed in 1:3) {
        d <- cloud(seed = seed)
        for (k in c(1, 7, 50)) {
            expected <- brute_entropies(d$x, d$batch, k)
            expect_equal(neighbour_entropy(d$x, factor(d$batch), k), unname(expected), tolerance = 1e-12)
            expect_equal(entropy_batch_mixing(d$x, d$batch, k, n_pools = Inf), mean(expected), tolerance = 1e-12)
            expect_equal(knn_purity(d$x, d$labels, k), brute_purity(d$x, d$labels, k), tolerance = 1e-12)
            expect_equal(nn_overlap_score(d$x, d$proteins, k), brute_overlap(d$x, d$proteins, k), tolerance = 1e-10)
        }
    }
    # Cells and their nearest neighbour in the other batch: no mixing among one neighbour; ln 2 among all.
    pairs <- cbind(rep(1:10, each = 2) * 10 + c(0, 0.1), 0)
    expect_identical(entropy_batch_mixing(pairs, rep(c("a", "b"), 10), 1, n_pools = Inf), 0)
    many <- matrix(stats::rnorm(2002), 1001)
    mixed <- entropy_batch_mixing(many, c(rep(1:4, 250), 1), 1000, n_pools = Inf)
    expect_equal(mixed, log(4), tolerance = 1e-4)
    # Separate labels.
    apart <- cbind(rep(c(0, 100), each = 20) + (1:40) / 10, 0)
    expect_identical(knn_purity(apart, rep(c("x", "y"), each = 20), 10), 1)
    expect_equal(nn_overlap_score(apart, apart * 2, 10), list(spearman_correlation = 1, fold_enrichment = 4))
})

test_that("the random estimate is the mean entropy of cells drawn with replacement, decided by the seed", {
    d <- cloud()
    entropies <- brute_entropies(d$x, d$batch, 15)
    score <- function(seed, pools = 5, size = 40) entropy_batch_mixing(d$x, d$batch, 15, pools, size, seed = seed)
    expect_identical(score(1), score(1))
    expect_false(score(1) == score(2))
    scores <- vapply(1:200, score, 0)
    standard_error <- stats::sd(entropies) * sqrt((length(entropies) - 1) / length(entropies)) / sqrt(5 * 40)
    expect_lt(abs(mean(scores) - mean(entropies)), 3 * standard_error / sqrt(200))
    expect_equal(stats::sd(scores), standard_error, tolerance = 0.2)
    # One number is drawn from the session's stream, and nothing else touches it.
    set.seed(7)
    first <- entropy_batch_mixing(d$x, d$batch, 15)
    after <- stats::runif(1)
    set.seed(7)
    expect_identical(entropy_batch_mixing(d$x, d$batch, 15), first)
    set.seed(7)
    sample.int(.Machine$integer.max, 1L)
    expect_identical(stats::runif(1), after)
    set.seed(7)
    entropy_batch_mixing(d$x, d$batch, 15, n_pools = Inf)
    knn_purity(d$x, d$labels)
    nn_overlap_score(d$x, d$proteins, 20)
    untouched <- stats::runif(1)
    set.seed(7)
    expect_identical(stats::runif(1), untouched)
})

test_that("scores do not depend on the order of the cells, on names, or on how groups are written", {
    d <- cloud()
    perm <- withr::with_seed(3, sample(nrow(d$x)))
    named <- d$x
    rownames(named) <- paste0("cell", seq_len(nrow(named)))
    exact <- function(x, batch) entropy_batch_mixing(x, batch, 20, n_pools = Inf)
    expect_equal(exact(d$x[perm, ], d$batch[perm]), exact(d$x, d$batch), tolerance = 1e-12)
    expect_equal(knn_purity(d$x[perm, ], d$labels[perm]), knn_purity(d$x, d$labels), tolerance = 1e-12)
    expect_equal(nn_overlap_score(d$x[perm, ], d$proteins[perm, ], 20), nn_overlap_score(d$x, d$proteins, 20))
    expect_identical(exact(as.data.frame(named), d$batch), exact(d$x, d$batch))
    codes <- match(d$labels, c("T", "B", "NK"))
    expect_equal(knn_purity(named, factor(codes, levels = 1:9)), knn_purity(d$x, d$labels), tolerance = 1e-12)
})

test_that("cells at the same place are neighbours, and no cell is its own", {
    twice <- rbind(diag(3) * 10, diag(3) * 10)
    expect_silent(index <- nearest_neighbours(twice, 1))
    expect_identical(as.vector(index), c(4L, 5L, 6L, 1L, 2L, 3L))
    expect_identical(knn_purity(twice, rep(c("x", "y"), each = 3), 1), 0)
    same <- matrix(1, 40, 2)
    expect_silent(index <- nearest_neighbours(same, 5))
    expect_false(any(index == row(index)))
    expect_identical(index, nearest_neighbours(same, 5))
})

test_that("neighbours are the same on any number of threads, and the session's random numbers are left alone", {
    x <- with_r_seed(1, matrix(rnorm(3 * least_for_forks), ncol = 3))
    x[1:100, ] <- x[101:200, ]  # some at the same place
    asked <- x + 0.01
    before <- num_threads(1)
    on.exit(num_threads(before))
    one <- list(nearest_neighbours(x, 5), nearest_known(asked, x, 5))
    num_threads(2)
    set.seed(3)
    stream <- .Random.seed
    expect_identical(list(nearest_neighbours(x, 5), nearest_known(asked, x, 5)), one)
    expect_identical(.Random.seed, stream)

    expect_identical(search_threads(10, version = "2.0.0"), list(num.threads = 2L))
    expect_identical(search_threads(least_for_forks - 1, version = "1.16.0"), list())
    if (.Platform$OS.type == "unix" && requireNamespace("BiocParallel", quietly = TRUE)) {
        forks <- withr::with_envvar(c(RSTUDIO = NA), search_threads(least_for_forks, version = "1.16.0"))$BPPARAM
        expect_identical(BiocParallel::bpnworkers(forks), 2L)
    }
    fails_if_told <- function(x, BPPARAM = NULL) if (is.null(BPPARAM)) x else stop("no forks here")
    expect_identical(search_in_parallel(fails_if_told, 1e6, 5), 5)
    withr::with_envvar(c(RSTUDIO = "1"), expect_identical(search_threads(1e6, version = "1.16.0"), list()))
    num_threads(1)
    expect_identical(search_threads(1e6, version = "1.16.0"), list())
})

test_that("more neighbours than cells: all others are taken, with a warning", {
    d <- cloud(n = 20)
    expect_warning(score <- knn_purity(d$x, d$labels), "n_neighbors.*30.*19", class = "rscvi_few_cells")
    expect_equal(score, brute_purity(d$x, d$labels, 19), tolerance = 1e-12)
    expect_warning(score <- entropy_batch_mixing(d$x, d$batch, n_pools = Inf), class = "rscvi_few_cells")
    expect_equal(score, mean(brute_entropies(d$x, d$batch, 19)), tolerance = 1e-12)
    expect_warning(score <- nn_overlap_score(d$x, d$proteins), "`k`", class = "rscvi_few_cells")
    # Everybody is a neighbour in both.
    expect_equal(score, list(spearman_correlation = 1, fold_enrichment = 20 / 19))
    expect_warning(
        imputed <- proximity_imputation(d$x, d$proteins, d$x[1:2, ] + 0.1, k = 50), class = "rscvi_few_cells")
    expect_identical(dim(imputed), c(2L, 2L))
})

test_that("a posterior is scored by the mean of its latent space, its own cells' batches, labels and proteins", {
    proteins <- matrix(stats::rnorm(160), 80, dimnames = list(NULL, c("CD3", "CD19")))
    post <- update_sampler_indices(scored_posterior(proteins = proteins), c(3:50, 70:61))
    z <- latent_matrix(post)
    cells <- indices(post)
    dataset <- post@gene_dataset
    expect_identical(entropy_batch_mixing(post, 20, n_pools = Inf),
        entropy_batch_mixing(z, batch_indices(dataset)[cells], 20, n_pools = Inf))
    expect_identical(entropy_batch_mixing(post, 20, 5, 10, seed = 4),
        entropy_batch_mixing(z, batch_indices(dataset)[cells], 20, 5, 10, seed = 4))
    expect_identical(knn_purity(post, 7), knn_purity(z, labels(dataset)[cells], n_neighbors = 7))
    expect_identical(nn_overlap_score(post, k = 12), nn_overlap_score(z, proteins[cells, ], k = 12))
    expect_named(nn_overlap_score(post, k = 12), c("spearman_correlation", "fold_enrichment"))
    # The mean of a logistic normal is an average of draws: the seed decides those too.
    ln <- scored_posterior(latent_distribution = "ln")
    expect_identical(entropy_batch_mixing(ln, 20, seed = 5), entropy_batch_mixing(ln, 20, seed = 5))
})

test_that("what cannot be scored is refused, by name", {
    d <- cloud(n = 40)
    refuse <- function(call, message, class = "rscvi_invalid_argument") {
        expect_s3_class(expect_error(call, message, class = class), "rscvi_error")
    }
    for (score in list(entropy_batch_mixing, knn_purity, clustering_scores)) {
        refuse(score(d$x, rep("one", 40)), "\"one\"", "rscvi_single_group")
        refuse(score(d$x, d$batch[-1]), "40.*39")
        refuse(score(d$x, c(NA, d$batch[-1])), "NA.*1 of 40")
        refuse(score(d$x, NULL), "NULL")
        refuse(score(d$x, as.list(d$batch)), "list")
        refuse(score(replace(d$x, 5, NA), d$batch), "`x`.*1 missing or infinite.*row 5")
        refuse(score(replace(d$x, 5, Inf), d$batch), "infinite")
        refuse(score(letters, d$batch), "`x`.*matrix.*character")
        refuse(score(d$x[, 0], d$batch), "no columns")
        refuse(score(d$x[1, , drop = FALSE], "a"), "1 cell", "rscvi_too_few_cells")
    }
    refuse(entropy_batch_mixing(d$x, d$batch, 0), "`n_neighbors`.*0")
    refuse(entropy_batch_mixing(d$x, d$batch, 5, n_pools = 0), "`n_pools`")
    refuse(entropy_batch_mixing(d$x, d$batch, 5, n_pools = "all"), "`n_pools`.*all")
    refuse(entropy_batch_mixing(d$x, d$batch, 5, n_samples_per_pool = 2.5), "`n_samples_per_pool`.*2.5")
    refuse(entropy_batch_mixing(d$x, d$batch, 5, seed = -1), "`seed`")
    refuse(knn_purity(d$x, d$labels, -1), "`n_neighbors`.*-1")
    refuse(nn_overlap_score(d$x, d$proteins, 0), "`k`.*0")
    refuse(nn_overlap_score(d$x, d$proteins[-1, ], 5), "`proteins`.*40.*39")
    refuse(nn_overlap_score(d$x, replace(d$proteins, 2, NaN), 5), "`proteins`.*row 2")
    refuse(nn_overlap_score(d$x, NULL, 5), "`proteins`", "rscvi_no_proteins")
    refuse(nn_overlap_score(d$x[1, , drop = FALSE], d$proteins[1, , drop = FALSE]), "1 cell", "rscvi_too_few_cells")
    refuse(proximity_imputation(d$x, d$proteins[-1, ], d$x), "`expression1`.*40.*39")
    refuse(proximity_imputation(d$x, d$proteins, d$x[, -1]), "`latent2`.*3.*2")
    refuse(proximity_imputation(d$x, replace(d$proteins, 1, NA), d$x), "`expression1`.*row 1")

    post <- scored_posterior()
    refuse(nn_overlap_score(post), "no proteins", "rscvi_no_proteins")
    refuse(entropy_batch_mixing(update_sampler_indices(post, batch_indices(post@gene_dataset) == "a")), "batch.*\"a\"",
        "rscvi_single_group")
    refuse(knn_purity(update_sampler_indices(post, labels(post@gene_dataset) == "x")), "label.*\"x\"",
        "rscvi_single_group")
    empty <- update_sampler_indices(post, integer())
    for (score in list(entropy_batch_mixing, knn_purity, clustering_scores)) {
        refuse(score(empty), "no cells", "rscvi_empty_posterior")
    }
    expect_error(knn_purity(post, neighbours = 5), "unused argument")
})

test_that("a cell to impute that lies on a known one gets its expression", {
    known <- rbind(c(0, 0), c(1, 0), c(0, 3), c(1, 0))
    expression <- cbind(g1 = c(1, 2, 3, 6), g2 = c(0, 10, 20, 30))
    asked <- rbind(new1 = c(0, 0), new2 = c(1, 0), new3 = c(0, 1))
    imputed <- proximity_imputation(known, expression, asked, k = 2)
    expect_equal(imputed["new1", ], c(g1 = 1, g2 = 0))
    expect_equal(imputed["new2", ], c(g1 = 4, g2 = 20))  # two known cells lie there
    three <- proximity_imputation(known[1:3, ], expression[1:3, ], asked, k = 3)
    w <- 1 / c(1, sqrt(2), 2)
    expect_equal(three["new3", ], colSums(expression[1:3, ] * w) / sum(w))
})
