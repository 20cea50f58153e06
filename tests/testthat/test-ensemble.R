# What several fits agree on.

test_that("fits of a data set are those that its parts make, seed by seed", {
    dataset <- separable_dataset()
    ensemble <- scvi_ensemble(dataset, n_seeds = 2, n_hidden = 8, n_latent = 2, train_size = 0.8, n_epochs = 2,
        lr = 1e-2, seed = 5)
    expect_identical(ensemble@seeds, c(5, 6))
    for (k in 1:2) {
        vae <- VAE(dataset, n_hidden = 8, n_latent = 2, seed = 4 + k)
        train(UnsupervisedTrainer(vae, dataset, train_size = 0.8, seed = 4 + k), n_epochs = 2, lr = 1e-2, seed = 4 + k)
        expect_identical(state_dict(model(posteriors(ensemble)[[k]])), state_dict(vae))
    }
    expect_output(print(ensemble), "SCVIEnsemble of 2 fits: VAE of 120 cells x 14 genes.*5, 6")
})

test_that("fits of a container are runSCVI()'s", {
    data <- separable_counts()
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = data$counts),
        colData = S4Vectors::DataFrame(batch = data$batch, type = data$type))
    arguments <- list(batch = "batch", labels = "type", n_hidden = 8, n_latent = 2, n_epochs = 2)
    ensemble <- do.call(scvi_ensemble, c(list(sce, n_seeds = 2, seed = 3), arguments))
    second <- posterior(do.call(runSCVI, c(list(sce, seed = 4), arguments)))
    expect_identical(latent_matrix(posteriors(ensemble)[[2]]), latent_matrix(second))
    expect_error(scvi_ensemble(sce, name = "x"), "name", class = "rscvi_invalid_argument")
    # set.seed() decides without a seed.
    first <- withr::with_seed(1, scvi_ensemble(sce, n_seeds = 1, n_hidden = 8, n_epochs = 1))
    again <- withr::with_seed(1, scvi_ensemble(sce, n_seeds = 1, n_hidden = 8, n_epochs = 1))
    expect_identical(first@seeds, again@seeds)
})

three_tables <- function() {
    table <- function(p, lfc, called) {
        data.frame(proba_de = p, bayes_factor = log_odds(p), lfc_mean = lfc, is_de_fdr_0.05 = called,
            row.names = c("g1", "g2", "g3"))
    }
    list(table(c(0.99, 0.5, 0.96), c(1, 2, 3), c(TRUE, FALSE, TRUE)),
        table(c(0.97, 0.9, 0.2), c(3, 5, 0), c(TRUE, TRUE, FALSE)),
        table(c(0.2, 0.99, 0.1), c(8, 4, -1), c(FALSE, TRUE, FALSE)))
}

test_that("medians, calls and their order are what they say", {
    combined <- combine_fits(three_tables())
    expect_identical(rownames(combined), c("g1", "g2", "g3"))
    expect_equal(combined$proba_de, c(0.97, 0.9, 0.2))
    expect_equal(combined$lfc_mean, c(3, 4, 0))
    expect_identical(combined$n_called, c(2L, 2L, 1L))
    expect_identical(combined$n_fits, rep(3L, 3))
    expect_identical(combined$is_de_fdr_0.05, c(TRUE, TRUE, FALSE))
    # Without a false discovery rate: a probability of at least .95.
    called <- function(tables) combine_fits(tables)[c("g1", "g2", "g3"), "n_called"]
    tables <- lapply(three_tables(), function(table) table[names(table) != "is_de_fdr_0.05"])
    expect_identical(called(tables), c(2L, 1L, 1L))
    # In vanilla mode: a Bayes factor beyond 3 either way, |log(p / (1 - p))| > 3 or p > .953 or < .047.
    tables <- lapply(tables, function(table) table["bayes_factor"])
    expect_identical(called(tables), c(2L, 1L, 1L))
})

test_that("an ensemble's table is made of those of its fits", {
    dataset <- separable_dataset()
    fits <- lapply(1:2, function(seed) {
        vae <- VAE(dataset, n_hidden = 16, n_latent = 2, reconstruction_loss = "nb", library = "observed", seed = seed)
        create_posterior(train(UnsupervisedTrainer(vae, dataset, n_epochs_kl_warmup = NULL, train_size = 1),
            n_epochs = 400, lr = 1e-2, seed = seed))
    })
    ensemble <- scvi_ensemble(fits)
    ask <- function(post, seed) differential_expression_score(post, group1 = "x", group2 = "y", mode = "change",
        n_samples = 400, pseudocounts = "auto", fdr_target = 0.05, seed = seed)
    found <- ask(ensemble, 7)
    alone <- Map(ask, fits, 7:8)
    genes <- rownames(found)
    expect_equal(found$proba_de, (alone[[1]][genes, "proba_de"] + alone[[2]][genes, "proba_de"]) / 2)
    expect_equal(found$lfc_median, (alone[[1]][genes, "lfc_median"] + alone[[2]][genes, "lfc_median"]) / 2)
    expect_equal(found$n_called, alone[[1]][genes, "is_de_fdr_0.05"] + alone[[2]][genes, "is_de_fdr_0.05"])
    expect_equal(found$raw_mean1, alone[[1]][genes, "raw_mean1"])
    # Genes 1 to 4 are of x, 5 to 8 of y, 9 to 12 of z; a false discovery rate of .05 lets one of those in at times.
    called <- genes[found$n_called == 2]
    expect_true(all(paste0("gene", 1:8) %in% called))
    expect_lte(length(called), 9)
    expect_identical(rownames(ask(ensemble, 7)), genes)
})

test_that("the message of a confounded contrast is given once for all fits", {
    dataset <- separable_dataset()
    ensemble <- scvi_ensemble(lapply(1:2, function(seed) Posterior(VAE(dataset, n_hidden = 8, seed = seed), dataset)))
    said <- 0
    withCallingHandlers(
        differential_expression_score(ensemble, 1:60, 61:120, n_samples = 40, seed = 1),
        rscvi_confounded = function(m) {
            said <<- said + 1
            invokeRestart("muffleMessage")
        }
    )
    expect_equal(said, 1)
})

test_that("fits are shared out by BiocParallel, with the same result", {
    skip_if_not_installed("BiocParallel")
    dataset <- separable_dataset()
    run <- function(...) scvi_ensemble(dataset, n_seeds = 2, n_hidden = 8, n_latent = 2, n_epochs = 1, seed = 1, ...)
    serial <- run(BPPARAM = BiocParallel::SerialParam())
    expect_identical(lapply(posteriors(serial), latent_matrix), lapply(posteriors(run()), latent_matrix))
    expect_error(run(BPPARAM = 2), "BPPARAM", class = "rscvi_invalid_argument")
})

test_that("posteriors that do not belong together, and what is none, are refused", {
    dataset <- separable_dataset()
    post <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset)
    expect_error(scvi_ensemble(list(post, update_sampler_indices(post, 1:10))), class = "rscvi_model_mismatch")
    expect_error(scvi_ensemble(list()), class = "rscvi_invalid_argument")
    expect_error(scvi_ensemble(list(post, 1)), "x\\[\\[2\\]\\]", class = "rscvi_invalid_argument")
    expect_error(scvi_ensemble(dataset, n_seeds = 0), "n_seeds", class = "rscvi_invalid_argument")
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = separable_counts()$counts))
    expect_error(scvi_ensemble(sce, n_neurons = 3), "n_neurons", class = "rscvi_invalid_argument")
    expect_error(scvi_ensemble(dataset, n_neurons = 3), "n_neurons", class = "rscvi_invalid_argument")
})
