# Objects outlive the session and the process: saveRDS and readRDS, forks, workers. The same seed, the same bits.

dataset <- small_dataset()
round_trip <- function(object) {
    file <- tempfile(fileext = ".rds")
    on.exit(unlink(file))
    saveRDS(object, file)
    readRDS(file)
}
trained_trainer <- function(...) {
    trainer <- UnsupervisedTrainer(small_model(dataset, ...), dataset, train_size = 0.6, test_size = 0.3,
        batch_size = 16, frequency = 1, n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 50)
    train(trainer, n_epochs = 3, lr = 1e-2, seed = 1)
}
answers <- function(post) {
    list(latent = get_latent(post), draw = latent_matrix(post, give_mean = FALSE, seed = 1),
        elbo = elbo(post, seed = 2), error = reconstruction_error(post, seed = 3), ll = marginal_ll(post, 7, seed = 4),
        library = get_stats(post, seed = 5), scale = get_sample_scale(post, transform_batch = "b", seed = 6),
        raw = raw_data(post))
}

test_that("a model that was saved is the same model, and another one from then on", {
    for (n_layers in 1:2) {
        model <- small_model(dataset, n_layers = n_layers, dispersion = "gene-batch", reconstruction_loss = "nb")
        train(UnsupervisedTrainer(model, dataset), n_epochs = 3, seed = 1)
        loaded <- round_trip(model)
        expect_identical(state_dict(loaded), state_dict(model))
        expect_identical(loaded@options, model@options)
        x <- t(as.matrix(counts(dataset)))
        ask <- function(model) inference(model, x, batch_indices(dataset), n_samples = 2, seed = 1)
        expect_identical(ask(loaded), ask(model))
        expect_output(print(loaded), "VAE for 12 genes")
        before <- state_dict(loaded)
        train(UnsupervisedTrainer(model, dataset), n_epochs = 1, seed = 2)
        expect_identical(state_dict(loaded), before)
        # And it can be trained in its turn, to the same bits.
        train(UnsupervisedTrainer(loaded, dataset), n_epochs = 1, seed = 2)
        expect_identical(state_dict(loaded), state_dict(model))
    }
})

test_that("a model that was saved before its first use, and one that was saved twice, work", {
    fresh <- small_model(dataset)
    twice <- round_trip(round_trip(fresh))
    expect_identical(latent_matrix(Posterior(twice, dataset)), latent_matrix(Posterior(fresh, dataset)))
    copy <- round_trip(clone(fresh))
    expect_identical(state_dict(copy), state_dict(fresh))
})

test_that("a trainer that was saved goes on where it was", {
    trainer <- trained_trainer()
    loaded <- round_trip(trainer)
    expect_identical(history(loaded), history(trainer))
    expect_identical(loaded@sets, trainer@sets)
    expect_identical(answers(test_set(loaded)), answers(test_set(trainer)))
    train(trainer, n_epochs = 2, seed = 9)
    expect_false(identical(history(loaded), history(trainer)))
    train(loaded, n_epochs = 2, seed = 9)
    # The count of minibatches, and so the warm-up, is kept too.
    expect_identical(history(loaded), history(trainer))
    expect_identical(state_dict(model(loaded)), state_dict(model(trainer)))
    expect_identical(answers(validation_set(loaded)), answers(validation_set(trainer)))
})

test_that("a trainer that was saved corrupted stays corrupted, with the same corruption", {
    trainer <- trained_trainer()
    corrupt_posteriors(trainer, rate = 0.5, corruption = "binomial", seed = 3)
    loaded <- round_trip(trainer)
    expect_identical(answers(train_set(loaded)), answers(train_set(trainer)))
    uncorrupt_posteriors(trainer)
    uncorrupt_posteriors(loaded)
    expect_identical(answers(train_set(loaded)), answers(train_set(trainer)))
})

test_that("a posterior that was saved gives the same answers, whatever its settings", {
    for (options in list(list(), list(latent_distribution = "ln"), list(dispersion = "gene-cell"))) {
        trainer <- do.call(trained_trainer, options)
        spoilt <- corrupt(dataset, seed = 1)
        posts <- list(
            test_set(trainer), update(Posterior(model(trainer), dataset, indices = c(5, 5, 60)), batch_size = 2),
            Posterior(model(trainer), dataset, shuffle = TRUE), corrupted(Posterior(model(trainer), spoilt))
        )
        for (post in posts) {
            loaded <- round_trip(post)
            # ln: the mean is over draws, which need a seed.
            set.seed(1)
            wanted <- answers(post)
            set.seed(1)
            expect_identical(answers(loaded), wanted)
            expect_identical(indices(loaded), indices(post))
        }
    }
})

test_that("a data set that was saved is the same data set", {
    loaded <- round_trip(corrupt(dataset, seed = 1))
    model <- small_model(dataset)
    expect_identical(answers(Posterior(model, loaded)), answers(Posterior(model, dataset)))
    expect_identical(corrupted_counts(loaded), corrupted_counts(corrupt(dataset, seed = 1)))
})

test_that("what is saved holds no more than numbers: no pointer, and little besides the weights and counts", {
    model <- VAE(500, n_hidden = 64, seed = 1)
    latent <- inference(model, matrix(1, 2, 500), seed = 1)
    n_weights <- sum(lengths(state_dict(model)))
    expect_lt(length(serialize(model, NULL)), 8 * n_weights + 20000)
    loaded <- unserialize(serialize(model, NULL))
    expect_false(handle_is_alive_cpp(loaded@state$handle))
    expect_identical(inference(loaded, matrix(1, 2, 500), seed = 1), latent)
    expect_true(handle_is_alive_cpp(loaded@state$handle))
})

test_that("a forked process works on a model of its parent, without hanging", {
    skip_on_os("windows")
    # In a process of its own, which has threads before it forks: those are what a child lacks.
    files <- vapply(c(script = ".R", result = ".rds"), function(ext) tempfile(fileext = ext), "")
    on.exit(unlink(files))
    writeLines(c(sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")), '
        library(rscvi)
        set.seed(1)
        wide <- matrix(rpois(600 * 160, 1), 600)
        wide[1, ] <- wide[1, ] + seq_len(160) %% 5 + 1
        big <- GeneExpressionDataset(wide)
        model <- VAE(big, seed = 1)
        train(UnsupervisedTrainer(model, big), n_epochs = 1, seed = 1)
        post <- Posterior(model, big)
        work <- function() {
            mine <- VAE(big, seed = 2)
            # LibTorch 2 cannot train in a child of a process that has trained.
            refused <- tryCatch({
                train(UnsupervisedTrainer(mine, big), n_epochs = 1, seed = 3)
                FALSE
            }, rscvi_forked = function(e) TRUE)
            list(latent = latent_matrix(post), elbo = elbo(post, seed = 4), trained = if (!refused) state_dict(mine),
                log_nb = sum(log_nb(rep(0:99, 2000), 5, 2)))
        }
        here <- work()
        job <- parallel::mcparallel(work())
        # A child that hangs is to be a failure and not the end of all tests.
        there <- parallel::mccollect(job, wait = FALSE, timeout = 60)[[1]]
        tools::pskill(job$pid, tools::SIGKILL)
        # The parent goes on, with the model that it had.
        result <- list(here = here, there = there, latent = latent_matrix(post))
    ', sprintf("saveRDS(result, %s)", deparse(files[["result"]]))), files[["script"]])
    output <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(files[["script"]])),
        env = c("OMP_NUM_THREADS=2", "GOMP_SPINCOUNT=1000"), stdout = TRUE, stderr = TRUE, timeout = 200))
    if (!file.exists(files[["result"]])) stop("the process ended early: ", paste(output, collapse = "\n"))
    result <- readRDS(files[["result"]])
    expect_identical(names(result$there), names(result$here))
    expect_type(result$here$trained, "list")
    if (is.null(result$there$trained)) result$here["trained"] <- list(NULL)
    # A child works on one thread, which may sum in another order than two. A bias before batch normalisation has no
    # gradient but rounding, which Adam's steps make visible: it says nothing.
    without_idle_biases <- function(x) {
        x$trained <- x$trained[!grepl("Layer [0-9]+\\.0\\.bias$", names(x$trained))]
        x
    }
    expect_equal(without_idle_biases(result$there), without_idle_biases(result$here), tolerance = 1e-3)
    expect_identical(result$latent, result$here$latent)
})

test_that("a worker in a process of its own, as SnowParam has, works on what it is sent", {
    cluster <- parallel::makePSOCKcluster(1)
    on.exit(parallel::stopCluster(cluster))
    paths <- .libPaths()
    parallel::clusterExport(cluster, "paths", environment())
    parallel::clusterEvalQ(cluster, {
        .libPaths(paths)
        library(rscvi)
    })
    trainer <- trained_trainer()
    post <- test_set(trainer)
    local <- answers(post)
    remote <- parallel::clusterCall(cluster, answers, post)[[1]]
    expect_identical(remote, local)
    # Training there changes the copy there, which comes back.
    before <- state_dict(model(trainer))
    returned <- parallel::clusterCall(cluster, function(trainer) {
        rscvi::train(trainer, n_epochs = 2, seed = 9)
    }, trainer)[[1]]
    expect_identical(state_dict(model(trainer)), before)
    train(trainer, n_epochs = 2, seed = 9)
    expect_identical(state_dict(model(returned)), state_dict(model(trainer)))
    expect_identical(history(returned), history(trainer))
})

test_that("a posterior is not saved larger after it was used: the counts are written once", {
    post <- Posterior(small_model(small_dataset()), small_dataset())
    size <- function() length(serialize(post, NULL))
    before <- size()
    elbo(post, seed = 1)
    expect_lt(size(), before + 2000)
})
