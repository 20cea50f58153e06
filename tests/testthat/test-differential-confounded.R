# The message that says that a contrast coincides with batches.

confounded_posterior <- local({
    post <- NULL
    function() {
        if (is.null(post)) {
            dataset <- separable_dataset()
            post <<- Posterior(VAE(dataset, n_hidden = 8, n_latent = 2, seed = 1), dataset)
        }
        post
    }
})
# separable_dataset(): cells 1 to 60 are of batch "a", the others of "b"; labels x, y, z in turn.
messages_of <- function(expr) {
    said <- list()
    withCallingHandlers(expr, message = function(m) {
        if (inherits(m, "rscvi_confounded")) {
            said[[length(said) + 1L]] <<- conditionMessage(m)
            invokeRestart("muffleMessage")
        }
    })
    said
}
few <- 40

test_that("the overlap is the sum of the smaller shares", {
    batch <- factor(c("a", "a", "a", "b", "b", "c"))
    expect_identical(batch_overlap(batch, 1:3, 4:6), 0)
    expect_equal(batch_overlap(batch, 1:4, 5:6), min(1 / 4, 1 / 2))
    expect_equal(batch_overlap(batch, c(1, 4), c(2, 5)), 1)
    expect_equal(batch_overlap(batch, 1:6, c(1, 4)), 1 / 2 + 1 / 3)
})

test_that("groups of different batches, decoded as all, are told of once, with what to do", {
    post <- confounded_posterior()
    for (ask in list(get_bayes_factors, differential_expression_score)) {
        said <- messages_of(ask(post, 1:60, 61:120, n_samples = few, seed = 1))
        expect_length(said, 1)
        expect_match(said[[1]], "different batches \\(\"a\" against \"b\"\\)")
        expect_match(said[[1]], "decoded as all 2 batches")
        expect_match(said[[1]], "use_observed_batches = TRUE")
    }
})

test_that("up to a fifth of shared batches is told of, with how much it is", {
    post <- confounded_posterior()
    ask <- function(first, second) messages_of(get_bayes_factors(post, first, second, n_samples = few, seed = 1))
    # 1 of 5 cells of the second group is of the batch of the first: a fifth; 1 of 4 is more.
    said <- ask(1:40, c(60, 61:64))
    expect_length(said, 1)
    expect_match(said[[1]], "\"a\" against \"b\"\\), but for 20 %")
    expect_length(ask(1:40, c(60, 61:63)), 0)
    # Of both batches each, nine to one and one to nine: .1 + .1.
    expect_length(ask(c(1:9, 61), c(10, 62:70)), 1)
    expect_length(ask(c(1:8, 61:62), c(10, 63:71)), 0)
    expect_no_match(ask(1:40, 61:64)[[1]], "but for")
})

test_that("there is no message where batches are observed or chosen, do not coincide, or are not known to the model", {
    post <- confounded_posterior()
    quiet <- function(post, first, second, ...) {
        expect_length(messages_of(get_bayes_factors(post, first, second, n_samples = few, seed = 1, ...)), 0)
    }
    quiet(post, 1:60, 61:120, use_observed_batches = TRUE)
    quiet(post, 1:60, 61:120, batchid1 = "a", batchid2 = "b")
    quiet(post, 1:60, 61:120, batchid1 = "a", batchid2 = "a")
    quiet(post, seq(1, 120, 3), seq(2, 120, 3))
    dataset <- separable_dataset()
    quiet(Posterior(VAE(dataset, n_batch = 0, n_hidden = 8, seed = 1), dataset), 1:60, 61:120)
})

test_that("comparisons of clusters tell of it once, and of which", {
    post <- confounded_posterior()
    stim <- batch_indices(post@gene_dataset) == "b"
    said <- messages_of(within_cluster_degenes(post, stim, n_samples = few, seed = 1))
    expect_length(said, 1)
    expect_match(said[[1]], "Clusters: \"x\", \"y\", and \"z\"")
    expect_length(messages_of(within_cluster_degenes(post, stim, n_samples = few, use_observed_batches = TRUE,
        seed = 1)), 0)
    # Labels that are batches.
    said <- messages_of(one_vs_all_degenes(post, cell_labels = ifelse(stim, "in_b", "in_a"), n_samples = few, seed = 1))
    expect_length(said, 1)
    expect_match(said[[1]], "\"in_a\" and \"in_b\"")
    expect_length(messages_of(one_vs_all_degenes(post, n_samples = few, seed = 1)), 0)
})

test_that("the table is the same with and without the message", {
    post <- confounded_posterior()
    ask <- function(...) suppressMessages(get_bayes_factors(post, 1:60, 61:120, n_samples = few, seed = 1, ...))
    expect_identical(ask(), ask(batchid1 = c("a", "b"), batchid2 = c("a", "b")))
})
