# The order of top_genes(): who is called comes first, then the larger change.

table_of <- function(...) data.frame(..., row.names = paste0("g", 1:5))

test_that("called genes come first, by the size of their change", {
    change <- c(0.5, -3, 9, 1, -1)
    de <- table_of(proba_de = c(0.99, 0.97, 0.5, 0.96, 0.95), lfc_median = change, is_de_fdr_0.05 = c(T, F, F, T, F))
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
    post <- Posterior(VAE(dataset, n_hidden = 8, n_latent = 2, library = "observed", seed = 1), dataset)
    ask <- function(x, ...) {
        differential_expression_score(x, 1:20, 60:80, mode = "change", n_samples = 60, seed = 1, ...)
    }
    de <- ask(post)
    top <- top_genes(de)
    expect_setequal(rownames(top), rownames(de))
    calls <- top$proba_de >= 0.95
    expect_false(is.unsorted(rev(calls)))
    for (these in split(abs(top$lfc_median), calls)) expect_false(is.unsorted(rev(these)))
    of_three <- top_genes(ask(scvi_ensemble(list(post, post, post)), fdr_target = 0.05))
    expect_false(is.unsorted(rev(of_three$n_called)))
    expect_s3_class(top_genes(one_vs_all_degenes(post, n_samples = 60, seed = 1)[[1]], 2), "data.frame")
})

test_that("what is no such table, or no number of genes, is an error", {
    expect_error(top_genes(data.frame(a = 1)), "table.*proba_de", class = "rscvi_invalid_argument")
    expect_error(top_genes(1:3), "table", class = "rscvi_invalid_argument")
    expect_error(top_genes(table_of(proba_de = 1:5 / 5, lfc_median = 1:5), -1), "\\bn\\b",
        class = "rscvi_invalid_argument")
})
