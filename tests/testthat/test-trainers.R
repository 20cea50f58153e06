# Trainers before they train: the split, what they take, what they hold, corrupted counts.

dataset <- small_dataset()
trainer_of <- function(..., data = dataset) UnsupervisedTrainer(small_model(data), data, ...)
sizes <- function(trainer) unname(lengths(trainer@sets))

test_that("the defaults are those of 0.6.8", {
    given <- formals(UnsupervisedTrainer)
    reference <- alist(
        train_size = 0.9, test_size = NULL, n_iter_kl_warmup = NULL, n_epochs_kl_warmup = 400,
        metrics_to_monitor = NULL, frequency = NULL, weight_decay = 1e-6, early_stopping_kwargs = NULL,
        data_loader_kwargs = NULL, batch_size = 128, seed = 0, max_nans = 10
    )
    for (name in names(reference)) expect_identical(given[[name]], reference[[name]], info = name)
    expect_identical(names(given)[1:3], c("model", "gene_dataset", "train_size"))
    # A GPU is used if there is one, in 0.6.8 by TRUE and availability.
    expect_null(given$use_cuda)
})

test_that("the split has floor(train_size n) cells to train on, and the test set the rest or ceiling(test_size n)", {
    # 60 cells
    expect_identical(sizes(trainer_of()), c(54L, 6L, 0L))
    expect_identical(sizes(trainer_of(train_size = 0.5)), c(30L, 30L, 0L))
    expect_identical(sizes(trainer_of(train_size = 0.99)), c(59L, 1L, 0L))
    expect_identical(sizes(trainer_of(train_size = 1)), c(60L, 0L, 0L))
    expect_identical(sizes(trainer_of(train_size = 0.5, test_size = 0.21)), c(30L, 13L, 17L))
    expect_identical(sizes(trainer_of(train_size = 0.33, test_size = 0.33)), c(19L, 20L, 21L))
    expect_identical(sizes(trainer_of(train_size = 0.5, test_size = 0)), c(30L, 0L, 30L))
    expect_identical(sizes(trainer_of(train_size = 0.8, test_size = 0.2)), c(48L, 12L, 0L))
    for (trainer in list(trainer_of(), trainer_of(train_size = 0.5, test_size = 0.3))) {
        expect_identical(names(trainer@sets), c("train_set", "test_set", "validation_set"))
        expect_identical(sort(unlist(trainer@sets, use.names = FALSE)), 1:60)
    }
})

test_that("the seed decides the split, and the same cells are first in line for the test set", {
    expect_identical(trainer_of()@sets, trainer_of(seed = 0)@sets)
    expect_false(identical(trainer_of(seed = 1)@sets, trainer_of(seed = 0)@sets))
    # One order of the cells: test set first, then training set, then validation set.
    a <- trainer_of(train_size = 0.5, test_size = 0.2)@sets
    b <- trainer_of(train_size = 0.6, test_size = 0.2)@sets
    expect_identical(b$test_set, a$test_set)
    expect_identical(b$train_set[1:30], a$train_set)
    expect_identical(c(b$train_set, b$validation_set), c(a$train_set, a$validation_set))
    # It is a random order: both halves of the cells are in the test set.
    expect_gt(stats::ks.test(trainer_of(train_size = 0.5)@sets$test_set / 61, "punif")$p.value, 1e-3)
    set.seed(1)
    first <- trainer_of(seed = NULL)@sets
    second <- trainer_of(seed = NULL)@sets
    expect_false(identical(first, second))
    set.seed(1)
    expect_identical(trainer_of(seed = NULL)@sets, first)
})

test_that("a split of one's own: indices, mask or names", {
    mask <- seq_len(60) %% 3 == 0
    by_mask <- trainer_of(train_indices = mask)@sets
    expect_identical(by_mask, list(train_set = which(mask), test_set = which(!mask), validation_set = integer(0)))
    order <- c(9, 3, 6)
    by_index <- trainer_of(train_indices = order, test_indices = c(1, 60))@sets
    expect_identical(by_index$train_set, c(9L, 3L, 6L))
    expect_identical(by_index$test_set, c(1L, 60L))
    expect_identical(by_index$validation_set, setdiff(1:60, c(9, 3, 6, 1, 60)))
    by_name <- trainer_of(train_indices = paste0("cell", order), test_indices = c("cell1", "cell60"))@sets
    expect_identical(by_name, by_index)
    expect_identical(trainer_of(test_indices = 1:20)@sets,
        list(train_set = 21:60, test_set = 1:20, validation_set = integer(0)))
})

test_that("a split that cannot be is refused", {
    refuse <- function(message, ...) expect_error(trainer_of(...), message, class = "rscvi_invalid_argument")
    refuse("`train_size`.*\\(0, 1\\].*not 0", train_size = 0)
    refuse("`train_size`.*not 1.1", train_size = 1.1)
    refuse("`train_size`.*not -0.5", train_size = -0.5)
    refuse("`train_size`.*not NA", train_size = NA_real_)
    refuse("`train_size`.*\"all\"", train_size = "all")
    refuse("`test_size`.*not 1", test_size = 1)
    refuse("`test_size`.*not -0.1", test_size = -0.1)
    refuse("train_size and test_size together.*66.*60", train_size = 0.9, test_size = 0.2)
    refuse("train_size leaves no training cell among 60", train_size = 0.01)
    refuse("`train_indices` and `test_indices` share 2 cells, first 4", train_indices = 1:5, test_indices = 4:9)
    refuse("`train_indices`.*1 to 60; found 61", train_indices = 1:61)
    refuse("`test_indices`.*found 0", test_indices = 0:5)
    refuse("`train_indices`.*more than once: 2", train_indices = c(1, 2, 2))
    refuse("`train_indices`.*length 59", train_indices = rep(TRUE, 59))
    refuse("`test_indices`.*\"nobody\"", test_indices = "nobody")
})

test_that("other arguments are refused with name and value", {
    refuse <- function(message, ...) expect_error(trainer_of(...), message, class = "rscvi_invalid_argument")
    refuse("`n_epochs_kl_warmup`.*-1", n_epochs_kl_warmup = -1)
    refuse("`n_iter_kl_warmup`.*1.5", n_iter_kl_warmup = 1.5)
    refuse("`frequency`.*0", frequency = 0)
    refuse("`metrics_to_monitor`.*\"accuracy\"", metrics_to_monitor = c("elbo", "accuracy"))
    refuse("`weight_decay`.*-1", weight_decay = -1)
    refuse("`batch_size`.*at least 3, not 2", batch_size = 2)
    refuse("batch_size`.*not \"all\"", data_loader_kwargs = list(batch_size = "all"))
    refuse("`data_loader_kwargs`.*sampler", data_loader_kwargs = list(sampler = 1))
    refuse("`data_loader_kwargs`.*named list", data_loader_kwargs = 128)
    refuse("`max_nans`.*0", max_nans = 0)
    refuse("`seed`.*\"x\"", seed = "x")
    refuse("`show_progbar`.*\"no\"", show_progbar = "no")
    refuse("`use_cuda`.*\"cuda\"", use_cuda = "cuda")
    expect_error(UnsupervisedTrainer(1, dataset), "`model`", class = "rscvi_invalid_argument")
    expect_error(UnsupervisedTrainer(small_model(dataset), counts(dataset)), "`gene_dataset`",
        class = "rscvi_invalid_argument")
})

test_that("a trainer gives its model and its sets, as posteriors with its batch size", {
    model <- small_model(dataset)
    trainer <- UnsupervisedTrainer(model, dataset, train_size = 0.5, test_size = 0.3, batch_size = 17)
    expect_identical(model(trainer), model)
    expect_null(history(trainer))
    sets <- list(train_set = train_set(trainer), test_set = test_set(trainer), validation_set = validation_set(trainer))
    for (name in names(sets)) {
        expect_s4_class(sets[[name]], "Posterior")
        expect_identical(indices(sets[[name]]), trainer@sets[[name]])
        expect_identical(sets[[name]]@data_loader_kwargs$batch_size, 17L)
        expect_identical(latent_matrix(sets[[name]]),
            latent_matrix(Posterior(model, dataset, indices = trainer@sets[[name]],
                data_loader_kwargs = list(batch_size = 17))))
    }
    expect_identical(trainer_of(data_loader_kwargs = list(batch_size = 9))@options$batch_size, 9L)
    expect_error(train_set(model), "`trainer`", class = "rscvi_invalid_argument")
    expect_error(history(dataset), "`trainer`", class = "rscvi_invalid_argument")
})

test_that("history() is a generic of utils' function, so that attaching rscvi masks nothing", {
    expect_identical(methods::getGeneric("history")@package, "utils")
    # There are no commands in a session like this one, and R says so.
    skip_if(interactive())
    said <- function(expr) tryCatch(expr, error = conditionMessage)
    expect_identical(said(history()), said(utils::history()))
    expect_identical(said(history(3)), said(utils::history(3)))
})

test_that("create_posterior takes what it is not given from the trainer", {
    trainer <- trainer_of(batch_size = 17)
    all_cells <- create_posterior(trainer)
    expect_identical(indices(all_cells), 1:60)
    expect_identical(all_cells@data_loader_kwargs$batch_size, 17L)
    expect_identical(indices(create_posterior(trainer, indices = c(3, 1, 3))), c(3L, 1L, 3L))
    expect_true(create_posterior(trainer, shuffle = TRUE)@shuffle)
    other_model <- small_model(dataset, seed = 9)
    other_data <- small_dataset(seed = 5)
    post <- create_posterior(trainer, model = other_model, gene_dataset = other_data, indices = 1:4)
    expect_identical(latent_matrix(post), latent_matrix(Posterior(other_model, other_data, indices = 1:4)))
    expect_error(create_posterior(trainer, shuffle = TRUE, indices = 1:4), "mutually exclusive",
        class = "rscvi_invalid_argument")
    expect_error(create_posterior(trainer, model = VAE(5)), class = "rscvi_model_mismatch")
})

test_that("an empty set is a posterior that says so when it is asked", {
    empty <- test_set(trainer_of(train_size = 1))
    expect_identical(nb_cells(empty), 0L)
    for (ask in list(elbo, reconstruction_error, marginal_ll, get_latent, latent_matrix, get_stats, get_sample_scale)) {
        expect_error(ask(empty), "no cells.*train_size = 1", class = "rscvi_empty_posterior")
    }
    expect_error(for_each_minibatch(empty, list), class = "rscvi_empty_posterior")
})

test_that("corrupt_posteriors makes every set read corrupted counts, and uncorrupt_posteriors the real ones", {
    trainer <- trainer_of(train_size = 0.6, test_size = 0.3)
    expect_identical(corrupt_posteriors(trainer, rate = 0.5, corruption = "binomial", seed = 3), trainer)
    same <- corrupt(dataset, rate = 0.5, corruption = "binomial", seed = 3)
    expect_gt(sum(corrupted_counts(same) != counts(same)), 50)
    for (set in list(train_set, test_set, validation_set, create_posterior)) {
        cells <- indices(set(trainer))
        expect_true(set(trainer)@use_corrupted)
        expect_equal(raw_data(set(trainer))$X, Matrix::t(corrupted_counts(same))[cells, ])
        expect_identical(elbo(set(trainer), seed = 1),
            elbo(corrupted(Posterior(model(trainer), same, indices = cells)), seed = 1))
        expect_equal(raw_data(uncorrupted(set(trainer)))$X, Matrix::t(counts(dataset))[cells, ])
    }
    now <- elbo(train_set(trainer), seed = 1)
    expect_output(print(trainer), "corrupted")
    uncorrupt_posteriors(trainer)
    expect_false(train_set(trainer)@use_corrupted)
    expect_equal(raw_data(train_set(trainer))$X, Matrix::t(counts(dataset))[trainer@sets$train_set, ])
    expect_false(isTRUE(all.equal(elbo(train_set(trainer), seed = 1), now)))
    # The same corruption is there again if it is not to be made anew.
    corrupt_posteriors(trainer, update_corruption = FALSE, seed = 99)
    expect_identical(elbo(train_set(trainer), seed = 1), now)
    corrupt_posteriors(trainer, rate = 0.5, corruption = "binomial", seed = 99)
    expect_false(identical(elbo(train_set(trainer), seed = 1), now))
    # The data set that the trainer was made with is a value and stays as it was.
    expect_null(dataset@corrupted)
})

test_that("a corruption that cannot be is refused and leaves the trainer as it was", {
    trainer <- trainer_of()
    refuse <- function(message, ...) {
        expect_error(corrupt_posteriors(trainer, ...), message, class = "rscvi_invalid_argument")
        expect_false(train_set(trainer)@use_corrupted)
    }
    refuse("`corruption`.*\"gaussian\"", corruption = "gaussian")
    refuse("`rate`.*2", rate = 2)
    refuse("`update_corruption`.*NA", update_corruption = NA)
    expect_error(corrupt_posteriors(dataset), "`trainer`", class = "rscvi_invalid_argument")
    expect_error(uncorrupt_posteriors(dataset), "`trainer`", class = "rscvi_invalid_argument")
})

test_that("a trainer shows what it is and how far it is", {
    trainer <- trainer_of(train_size = 0.5, test_size = 0.3, batch_size = 10)
    expect_output(print(trainer),
        "UnsupervisedTrainer of a VAE on 60 cells.*train_set 30, test_set 18, validation_set 12.*not trained yet")
    train(trainer, n_epochs = 2, seed = 1)
    last <- sprintf("%.2f", history(trainer)$loss[3])
    expect_output(print(trainer), paste0("trained for 2 epochs \\(6 minibatches\\), last training loss ", last))
})

test_that("KL weight, learning rate's schedule and free bits default to 0.6.8's, and are checked", {
    given <- formals(UnsupervisedTrainer)
    expect_identical(as.list(given)[c("max_kl_weight", "lr_schedule", "free_bits", "lr_dispersion",
        "n_iter_fixed_dispersion", "precision", "step_graph")], list(max_kl_weight = 1, lr_schedule = "constant",
        free_bits = 0, lr_dispersion = NULL, n_iter_fixed_dispersion = 0, precision = "single", step_graph = FALSE))
    expect_identical(as.list(formals(SemiSupervisedTrainer))[c("max_kl_weight", "lr_schedule", "lr_dispersion",
        "n_iter_fixed_dispersion", "precision")], list(max_kl_weight = 1, lr_schedule = "constant",
        lr_dispersion = NULL, n_iter_fixed_dispersion = 0, precision = "single"))
    refuse <- function(message, ...) expect_error(trainer_of(...), message, class = "rscvi_invalid_argument")
    refuse("`max_kl_weight` must be", max_kl_weight = -1)
    refuse("`max_kl_weight` must be", max_kl_weight = Inf)
    refuse("`free_bits` must be", free_bits = -0.1)
    refuse("`lr_dispersion` must be", lr_dispersion = 0)
    by_cell <- VAE(dataset, n_hidden = 4, n_latent = 2, dispersion = "gene-cell", seed = 1)
    expect_error(UnsupervisedTrainer(by_cell, dataset, lr_dispersion = 1e-2), "`lr_dispersion` does not go with",
        class = "rscvi_invalid_argument")
    expect_error(UnsupervisedTrainer(by_cell, dataset, n_iter_fixed_dispersion = 5),
        "`n_iter_fixed_dispersion` does not go with", class = "rscvi_invalid_argument")
    refuse("`n_iter_fixed_dispersion` must be", n_iter_fixed_dispersion = -1)
    refuse("`lr_schedule` must be", lr_schedule = "linear")
    refuse("`precision` must be", precision = "half")
    refuse("`step_graph` must be", step_graph = NA)
    refuse("both decide the learning\\s+rate", lr_schedule = "cosine",
        early_stopping_kwargs = list(early_stopping_metric = "elbo", reduce_lr_on_plateau = TRUE))
    vaec <- VAEC(dataset, n_hidden = 8, n_latent = 3, seed = 1)
    expect_error(UnsupervisedTrainer(vaec, dataset, free_bits = 0.1), "`free_bits` is for models without a classifier")
})
