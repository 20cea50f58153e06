# Labels of some cells carried over to the others.

dataset_of <- function(labels) GeneExpressionDataset(as_dgc(toy), labels = labels)
post_of <- function(labels, make = VAE, ...) {
    dataset <- dataset_of(labels)
    Posterior(make(dataset, n_hidden = 8, n_latent = 3, ..., seed = 1), dataset)
}
some_known <- replace(toy_labels, seq_len(24) %% 3 > 0, NA)

test_that("labels spread along nearest neighbours as the closed form has it", {
    latent <- withr::with_seed(1, matrix(stats::rnorm(60), 20))
    known <- factor(c("a", "b", "c", "a", "b", rep(NA, 15)))
    off <- function(latent, known, k, alpha) {
        max(abs(spread_labels(latent, known, k, alpha) - spread_by_hand(latent, known, k, alpha)))
    }
    for (alpha in c(0.3, 0.8, 0.95)) for (k in c(3, 5)) expect_lt(off(latent, known, k, alpha), 1.2e-3)
    # A chain, whose far end is fifty steps from one label and next to the other.
    chain <- matrix(cumsum(seq(1, 1.1, length.out = 60)))
    known <- factor(replace(rep(NA, 60), c(10, 60), c("a", "b")))
    for (alpha in c(0.1, 0.8, 0.99)) expect_lt(off(chain, known, 2, alpha), 1.2e-3)
    expect_true(all(is.finite(spread_labels(chain, replace(known, 10, NA), 2, 0.1))))
})

test_that("a label follows where cells lie close, past cells of another label that are nearer", {
    # Two rows of cells, each with a label at one end only.
    along <- seq(0, 10, length.out = 51)
    latent <- rbind(cbind(along, 0), cbind(along, 2))
    truth <- rep(c("low", "high"), each = 51)
    known <- factor(replace(rep(NA, 102), c(1, 102), c("low", "high")))
    q <- spread_labels(latent, known, k = 4, alpha = 0.8)
    expect_identical(colnames(q)[max.col(q)], truth)
})

test_that("cells that no label reaches have the classifier's opinion, or the labels' shares", {
    latent <- rbind(matrix(0:8 / 10), matrix(0:4 / 10 + 100))
    known <- factor(replace(rep(NA, 14), c(1, 2, 9), c("a", "a", "b")))
    q <- spread_labels(latent, known, k = 2, alpha = 0.5)
    expect_identical(which(is.na(q[, 1])), 10:14)
    expect_equal(rowSums(q[1:9, ]), rep(1, 9))
    expect_equal(unname(either_opinion(q, NULL, known)[10:14, ]), cbind(rep(2 / 3, 5), 1 / 3))
    classifier <- cbind(a = rep(0.9, 14), b = 0.1)
    both <- either_opinion(q, classifier, known)
    expect_identical(both[10:14, ], classifier[10:14, ])
    expect_equal(both[1:9, ], (q[1:9, ] + classifier[1:9, ]) / 2)
})

test_that("labels are as frequent among cells without one as they seem to be there", {
    known <- factor(c("a", "b", NA, NA, NA))
    q <- cbind(a = c(0.7, 0.2, 0.9, 0.8, 0.4), b = c(0.3, 0.8, 0.1, 0.2, 0.6))
    # Of three cells 2.1 and 0.9, and of the twenty that count as seen ten each; half of the known ones are of either.
    ratio <- c(2.1 + 10, 0.9 + 10) / 23 / 0.5
    expected <- q[3:5, ] * rep(ratio, each = 3)
    adjusted <- with_estimated_shares(q, known)
    expect_equal(adjusted[3:5, ], expected / rowSums(expected))
    expect_identical(adjusted[1:2, ], q[1:2, ])
    all_known <- factor(c("a", "b", "b", "a", "a"))
    expect_identical(with_estimated_shares(q, all_known), q)
    # A label that no cell has yet, but a classifier may know.
    unseen <- with_estimated_shares(cbind(q / 2, c = 0.5), factor(known, levels = c("a", "b", "c")))
    expect_true(all(is.finite(unseen)))
    expect_equal(rowSums(unseen), rep(1, 5))
})

test_that("a posterior's cells are told by neighbours and classifier, in its order", {
    post <- post_of(some_known)
    known <- factor(some_known)
    by_neighbours <- spread_labels(latent_matrix(post), known, 4, 0.8)
    found <- transfer_labels(post, k = 4, shares = FALSE, soft = TRUE)
    expect_equal(as.matrix(found[c("B", "T")]), by_neighbours, ignore_attr = TRUE)
    expect_identical(rownames(found), cell_names(post@gene_dataset))
    expect_identical(found$label, known)

    scanvi <- post_of(some_known, SCANVI)
    mean_of_both <- (spread_labels(latent_matrix(scanvi), known, 4, 0.8) +
        as.matrix(compute_predictions(scanvi, soft = TRUE)[c("B", "T")])) / 2
    found <- transfer_labels(scanvi, k = 4, shares = FALSE, soft = TRUE)
    expect_equal(as.matrix(found[c("B", "T")]), mean_of_both, ignore_attr = TRUE)
    with_shares <- transfer_labels(scanvi, k = 4)
    expected <- with_estimated_shares(mean_of_both, known)
    expect_equal(with_shares$probability, unname(pmax(expected[, 1], expected[, 2])))
    expect_identical(as.character(with_shares$prediction), c("B", "T")[max.col(expected)])
    expect_identical(transfer_labels(scanvi, k = 4), with_shares)

    # Of a subset, in any order: the cells that are there decide.
    some <- update_sampler_indices(post, 20:1)
    found <- transfer_labels(some, k = 4, shares = FALSE, soft = TRUE)
    expect_identical(rownames(found), rev(cell_names(post@gene_dataset)[1:20]))
    expected <- spread_labels(latent_matrix(post)[20:1, ], known[20:1], 4, 0.8)
    expect_equal(as.matrix(found[c("B", "T")]), expected, ignore_attr = TRUE)
})

test_that("labels keep their levels; those that all cells have can be outvoted", {
    # Of three labels these cells have two.
    labels <- replace(toy_labels, 1:6, "C")
    some <- update_sampler_indices(post_of(labels), c(1:6, 13:24))
    found <- transfer_labels(some, k = 4)
    expect_identical(levels(found$prediction), levels(found$label))
    expect_true(all(found$prediction != "T"))
    # One label among those of the other: with much spreading its cell is outvoted, with little it is not.
    latent <- cbind(1:9 / 10, 0)
    known <- factor(replace(rep("a", 9), 5, "b"))
    q <- spread_labels(latent, known, k = 4, alpha = 0.9)
    expect_identical(colnames(q)[max.col(q)], rep("a", 9))
    q <- spread_labels(latent, known, k = 4, alpha = 0.1)
    expect_identical(colnames(q)[max.col(q)], as.character(known))
})

test_that("a model that places cells by their labels is not asked for neighbours", {
    vaec <- post_of(some_known, VAEC)
    expect_error(transfer_labels(vaec), "VAEC.*compute_predictions", class = "rscvi_labels_in_latent")
    ldvae <- post_of(some_known, LDVAE)
    expected <- with_estimated_shares(spread_labels(latent_matrix(ldvae), factor(some_known), 4, 0.8),
        factor(some_known))
    expect_equal(transfer_labels(ldvae, k = 4)$probability, pmax(expected[, 1], expected[, 2]), ignore_attr = TRUE)
})

test_that("few cells are no reason to warn of a number that nobody gave", {
    few <- update_sampler_indices(post_of(some_known), c(1:5, 13:17))
    expect_silent(found <- transfer_labels(few))
    expect_identical(found, transfer_labels(few, k = 9))
    expect_warning(transfer_labels(few, k = 10), "`k` is 10", class = "rscvi_few_cells")
})

test_that("what cannot be told is refused by name", {
    post <- post_of(some_known)
    refuse <- function(message, ...) {
        expect_error(transfer_labels(post, ...), message, class = "rscvi_invalid_argument")
    }
    refuse("`k`.*0", k = 0)
    refuse("`alpha`.*\\(0, 0.99\\].*1", alpha = 1)
    refuse("`alpha`", alpha = 0)
    refuse("`alpha`.*\"a\"", alpha = "a")
    refuse("`shares`", shares = NA)
    refuse("`soft`", soft = 2)
    one <- post_of(replace(some_known, some_known %in% "T", NA))
    expect_error(transfer_labels(one), "1 different label.*at least two", class = "rscvi_single_group")
    none <- update_sampler_indices(post, which(is.na(some_known)))
    expect_error(transfer_labels(none), "0 different labels", class = "rscvi_single_group")
    expect_error(transfer_labels(update_sampler_indices(post, integer())), class = "rscvi_empty_posterior")
    labelled <- dataset_of(toy_labels)
    classifier <- Posterior(Classifier(labelled, n_hidden = 4, seed = 1), labelled)
    expect_error(transfer_labels(classifier), class = "rscvi_no_model_of_counts")
})
