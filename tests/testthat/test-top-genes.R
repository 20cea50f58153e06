# The order of top_genes(): who is called comes first, then the larger change.

table_of <- function(...) data.frame(..., row.names = paste0("g", 1:5))

test_that("called genes come first, by the size of their change", {
    change <- c(0.5, -3, 9, 1, -1)
    de <- table_of(proba_de = c(0.99, 0.97, 0.5, 0.96, 0.95), lfc_median = change, is_de_fdr_0.05 = 1:5 %in% c(1, 4))
    expect_identical(rownames(top_genes(de)), c("g4", "g1", "g3", "g2", "g5"))
    de$is_de_fdr_0.05 <- NULL # then by probabilities of at least .95; g4 and g5 tie and keep their order
    expect_identical(rownames(top_genes(de)), c("g2", "g4", "g5", "g1", "g3"))
    de$n_called <- c(1L, 3L, 0L, 2L, 3L)
    expect_identical(rownames(top_genes(de, 3)), c("g2", "g5", "g4"))
    expect_identical(names(top_genes(de)), names(de))
    expect_identical(nrow(top_genes(de, 0)), 0L)
    expect_identical(nrow(top_genes(de, 100)), 5L)
})

test_that("in vanilla mode a Bayes factor calls, and the change is one of scales", {
    de <- table_of(bayes_factor = c(-4, 3.5, 2.9, -2, 5), scale1 = c(0.1, 0.3, 0.9, 0.1, 0.4),
        scale2 = c(0.4, 0.2, 0, 0.2, 0.2))
    expect_identical(rownames(top_genes(de)), c("g1", "g5", "g2", "g3", "g4"))
})

test_that("tables of a posterior, of clusters and of an ensemble are taken", {
    dataset <- separable_dataset()
    vae <- VAE(dataset, n_hidden = 16, n_latent = 2, reconstruction_loss = "nb", library = "observed", seed = 1)
    trainer <- UnsupervisedTrainer(vae, dataset, n_epochs_kl_warmup = NULL, train_size = 1)
    post <- create_posterior(train(trainer, n_epochs = 200, lr = 1e-2, seed = 1, verbose = FALSE))
    kinds <- levels(labels(dataset))
    ask <- function(x, ...) {
        differential_expression_score(x, group1 = kinds[1], group2 = kinds[2], mode = "change", M_permutation = Inf,
            n_samples = 400, seed = 1, ...)
    }
    top <- top_genes(ask(post))
    calls <- top$proba_de >= 0.95
    expect_true(any(calls) && !all(calls))
    expect_false(is.unsorted(rev(calls)))
    for (these in split(abs(top$lfc_median), calls)) expect_false(is.unsorted(rev(these)))
    of_fits <- top_genes(ask(scvi_ensemble(list(post, post)), fdr_target = 0.05))
    expect_gt(length(unique(of_fits$n_called)), 1L)
    expect_false(is.unsorted(rev(of_fits$n_called)))
    cluster <- one_vs_all_degenes(post, n_samples = 400, seed = 1)[[1]]
    change <- abs(cluster$scale1 - cluster$scale2)
    called <- abs(cluster$bayes_factor) > 3
    expect_identical(top_genes(cluster, 2), cluster[order(!called, -change)[1:2], ])
})

test_that("what is no such table, or no number of genes, is an error", {
    expect_error(top_genes(data.frame(a = 1)), "table.*proba_de", class = "rscvi_invalid_argument")
    expect_error(top_genes(data.frame(proba_de = 1, scale1 = 1)), "table.*lfc_median", class = "rscvi_invalid_argument")
    expect_error(top_genes(1:3), "table", class = "rscvi_invalid_argument")
    expect_error(top_genes(table_of(proba_de = 1:5 / 5, lfc_median = 1:5), -1), "\\bn\\b",
        class = "rscvi_invalid_argument")
})
