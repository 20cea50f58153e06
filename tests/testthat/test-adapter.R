# Encoders adapted to held-out cells.

dataset <- separable_dataset()
fitted_model <- function(n_epochs = 15) {
    trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 12, n_latent = 4, seed = 1), dataset, train_size = 0.5,
        n_epochs_kl_warmup = NULL)
    train(trainer, n_epochs = n_epochs, lr = 1e-2, seed = 1)
}
base <- fitted_model()
adapter_of <- function(..., model = clone(rscvi::model(base))) AdapterTrainer(model, dataset, test_set(base), ...)
of_encoders <- function(names) grepl("^[zl]_encoder[.]", names)

test_that("the defaults are those of 0.6.8, but for the warm-up", {
    expect_identical(formals(AdapterTrainer)$frequency, 5)
    adapter <- adapter_of(frequency = 1)
    train(adapter, n_path = 1, seed = 1)
    expect_identical(max(history(adapter)$epoch), 50)
    adapter <- adapter_of(frequency = 2)
    train(adapter, n_epochs = 1, lr = 1e-3, seed = 1)
    expect_identical(unique(history(adapter)$path), 1:10)
    weight <- history(adapter)$kl_weight[history(adapter)$epoch > 0]
    expect_identical(weight, rep(1, 10))
})

test_that("the encoders alone change, and the ELBO of the test cells gets better", {
    for (weight_decay in c(1e-6, 0.1)) {
        adapter <- adapter_of(weight_decay = weight_decay)
        before <- state_dict(model(adapter))
        reached <- withVisible(train(adapter, n_path = 2, n_epochs = 30, lr = 5e-3, seed = 1))
        expect_true(reached$visible)
        same <- same_tensors(before, state_dict(model(adapter)))
        expect_identical(same, stats::setNames(!of_encoders(names(same)), names(same)))
        # Means over many draws: each value of the history is one.
        mean_elbo <- function(post) mean(vapply(1:40, function(seed) elbo(post, seed = seed), 0))
        expect_lt(mean_elbo(test_set(adapter)), mean_elbo(test_set(base)) - 0.3)
    }
})

test_that("it returns the smallest elbo_test_set, computed every `frequency` epochs", {
    adapter <- adapter_of()
    reached <- train(adapter, n_path = 3, n_epochs = 12, lr = 5e-3, seed = 1)
    done <- history(adapter)
    expect_identical(names(done)[1:2], c("path", "epoch"))
    expect_identical(done$epoch[!is.na(done$elbo_test_set)], rep(c(0, 5, 10, 12), 3))
    expect_identical(reached, min(done$elbo_test_set, na.rm = TRUE))
    expect_s3_class(plot_history(adapter), "ggplot")
})

test_that("each path starts from the encoders as they were, and the best one is kept", {
    adapter <- adapter_of()
    initial <- state_dict(model(adapter))
    train(adapter, n_path = 3, n_epochs = 10, lr = 5e-3, seed = 1)
    first <- history(adapter)
    # The starts are alike, but for the draws of the ELBO; a path that went on from another would start far lower.
    starts <- first$elbo_test_set[first$epoch == 0]
    ends <- first$elbo_test_set[first$epoch == 10]
    expect_gt(min(starts), max(ends))
    expect_gt(length(unique(ends)), 1)
    kept <- state_dict(model(adapter))

    # The path that did best, trained alone, leaves the same encoders.
    seeds <- with_r_seed(1, sample.int(.Machine$integer.max, 3))
    best <- first$path[which.min(first$elbo_test_set)]
    alone <- adapter_of()
    result <- run_training(alone, 10L, 5e-3, 0.01, seeds[best], FALSE)
    expect_identical(state_dict(model(alone)), kept)
    expect_equal(result$history$loss, first$loss[first$path == best])

    # Again, from the same start, although the model has moved since.
    train(adapter, n_path = 3, n_epochs = 10, lr = 5e-3, seed = 1)
    expect_identical(history(adapter), first)
    expect_identical(state_dict(model(adapter)), kept)
    load_state_dict(model(adapter), initial)
})

test_that("a path that only gets worse leaves the encoders as they were", {
    adapter <- adapter_of()
    before <- state_dict(model(adapter))
    reached <- train(adapter, n_path = 2, n_epochs = 2, lr = 0.3, seed = 1)
    expect_identical(reached, min(history(adapter)$elbo_test_set[history(adapter)$epoch == 0]))
    expect_identical(state_dict(model(adapter)), before)
})

test_that("models with labels adapt, and posteriors of corrupted counts", {
    scanvi <- SCANVI(dataset, n_hidden = 8, n_latent = 3, seed = 1)
    before <- state_dict(scanvi)
    adapter <- AdapterTrainer(scanvi, dataset, Posterior(scanvi, dataset, indices = 1:40))
    train(adapter, n_path = 1, n_epochs = 10, lr = 1e-2, seed = 1)
    same <- same_tensors(before, state_dict(scanvi))
    expect_identical(same, stats::setNames(!of_encoders(names(same)), names(same)))

    noisy <- corrupt(dataset, rate = 0.9, corruption = "binomial", seed = 1)
    vae <- model(base)
    on <- function(post) {
        adapter <- AdapterTrainer(clone(vae), noisy, post)
        c(train(adapter, n_path = 1, n_epochs = 0, seed = 1), test_set(adapter)@use_corrupted)
    }
    post <- Posterior(vae, noisy, indices = 1:40)
    expect_identical(on(corrupted(post))[2], 1)
    expect_identical(on(post)[2], 0)
    expect_false(on(corrupted(post))[1] == on(post)[1])
})

test_that("what cannot be adapted to is refused, with a remedy", {
    vae <- model(base)
    other <- separable_dataset(n = 60)
    expect_refused(AdapterTrainer(vae, dataset, Posterior(vae, other)), "posterior_test.*another data set")
    expect_refused(AdapterTrainer(vae, dataset, Posterior(vae, dataset, indices = 1:4)),
        "posterior_test.*has 4 cells.*at least 5")
    expect_refused(AdapterTrainer(vae, dataset, 1:10), "posterior_test.*Posterior")
    expect_refused(adapter_of(frequency = NULL), "frequency")
    expect_refused(train(adapter_of(), n_path = 0), "n_path.*not 0")
    expect_refused(train_set(adapter_of()), "test_set")
    partly <- separable_dataset(replace(separable_counts()$type, 4:120, NA))
    scanvi <- SCANVI(partly, n_hidden = 8, seed = 1)
    expect_refused(AdapterTrainer(scanvi, partly, Posterior(scanvi, partly, indices = 1:10)), "7 cells.*no label")
    expect_error(train(base, n_path = 3), "unused argument")
})

test_that("the value that is returned is that of the encoders that the model is left with", {
    dataset <- small_dataset(n_cells = 60)
    post <- Posterior(small_model(dataset), dataset)
    adapter <- AdapterTrainer(model(post), dataset, post, frequency = 1, metrics_to_monitor = "reconstruction_error",
        early_stopping_kwargs = list(save_best_state_metric = "reconstruction_error"), batch_size = 16)
    returned <- train(adapter, n_epochs = 6, n_path = 1, lr = 1e-2, seed = 3, verbose = FALSE)
    curve <- history(adapter)
    expect_identical(returned, curve$elbo_test_set[which.min(curve$reconstruction_error_test_set)])
})
