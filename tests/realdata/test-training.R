# Training on real cells: deep blood cells, shallow neurons of ten batches, stimulated and control blood cells.

of_file <- function(name) {
    requireNamespace("Matrix")
    data <- readRDS(testthat::test_path(name))
    GeneExpressionDataset(data$counts, batch = data$batch, labels = data$labels)
}

# Trains and expects what must hold on any data; the trainer.
expect_training_helps <- function(dataset, n_epochs, share, ..., lr = 1e-3, seed = 1) {
    model <- VAE(dataset, seed = seed)
    trainer <- UnsupervisedTrainer(model, dataset, seed = seed, ...)
    held_out <- test_set(trainer)
    ask <- function() c(elbo = elbo(held_out, seed = 1), marginal_ll = marginal_ll(held_out, 10, seed = 1))
    before <- ask()
    train(trainer, n_epochs = n_epochs, lr = lr, seed = seed)
    after <- ask()
    expect_true(all(after < share * before), info = paste(format(c(before, after)), collapse = " "))
    expect_lt(after[["marginal_ll"]], after[["elbo"]])
    loss <- history(trainer)$loss[-1]
    expect_true(all(is.finite(loss)))
    expect_lt(loss[n_epochs], 0.8 * loss[1])
    latent <- latent_matrix(create_posterior(trainer))
    expect_identical(dim(latent), c(nb_cells(dataset), 10L))
    expect_true(all(is.finite(latent)))
    expect_true(all(is.finite(unlist(state_dict(model)))))
    trainer
}

# Negative log-likelihood of the held-out cells if every cell had the genes' shares in the training cells, and a Poisson
# for each gene: what a model must beat that claims to see differences between cells.
same_for_all <- function(trainer, dataset) {
    total <- Matrix::rowSums(counts(dataset)[, indices(train_set(trainer))]) + 0.5
    x <- as.matrix(counts(dataset)[, indices(test_set(trainer))])
    mean(-colSums(stats::dpois(x, outer(total / sum(total), colSums(x)), log = TRUE)))
}

test_that("pbmc3k: training lowers the negative ELBO of held-out cells", {
    expect_training_helps(of_file("pbmc3k.rds"), n_epochs = 8, share = 0.3)
})

test_that("worm_l2: training lowers the negative ELBO of held-out cells", {
    dataset <- of_file("worm_l2.rds")
    trainer <- expect_training_helps(dataset, n_epochs = 4, share = 0.75)
    expect_identical(model(trainer)@options$n_batch, 10L)
})

test_that("example_pbmc: the same, and the latent space has cell types apart and batches mixed", {
    dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
    silhouette <- function(z, groups) {
        mean(cluster::silhouette(as.integer(groups), stats::dist(z))[, "sil_width"])
    }
    # Principal components of the same genes: log of counts per 10,000, as it is usually done.
    x <- t(as.matrix(counts(dataset)))
    components <- stats::prcomp(log1p(x / rowSums(x) * 1e4), rank. = 10)$x
    for (seed in 1:3) {
        trainer <- expect_training_helps(dataset, n_epochs = 30, lr = 3e-3, share = 0.5, n_epochs_kl_warmup = 20,
            seed = seed)
        expect_lt(marginal_ll(test_set(trainer), 50, seed = 1), 0.9 * same_for_all(trainer, dataset))
        z <- latent_matrix(create_posterior(trainer))
        expect_gt(silhouette(z, labels(dataset)), 1.15 * silhouette(components, labels(dataset)))
        expect_lt(silhouette(z, batch_indices(dataset)), 0.6 * silhouette(components, batch_indices(dataset)))
    }
})
