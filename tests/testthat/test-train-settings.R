# Settings of training that scvi 0.6.8 does not have: weight of the KL term, schedule of the learning rate, free bits,
# rates of dispersions, precision, steps as CUDA graphs.

test_that("the KL weight, the schedule of the learning rate and free bits reach training", {
    dataset <- small_dataset()
    trained <- function(..., n_epochs = 4) {
        train(UnsupervisedTrainer(small_model(dataset), dataset, ...), n_epochs = n_epochs, seed = 1)
    }
    epochs <- function(trainer) history(trainer)[-1, ]  # without the row before training
    expect_equal(epochs(trained(n_epochs_kl_warmup = 4, max_kl_weight = 2))$kl_weight, c(0, 0.5, 1, 1.5))
    expect_equal(epochs(trained(n_epochs_kl_warmup = NULL, max_kl_weight = 0.5))$kl_weight, rep(0.5, 4))
    expect_equal(epochs(trained(lr_schedule = "cosine"))$lr, 1e-3 * (1 + cos(pi * 0:3 / 4)) / 2)
    expect_equal(epochs(trained())$lr, rep(1e-3, 4))
    # Above every dimension's divergence the term is a constant: the loss is larger, and z's variance is not held back.
    plain <- trained(n_epochs_kl_warmup = NULL)
    free <- trained(n_epochs_kl_warmup = NULL, free_bits = 100)
    expect_gt(epochs(free)$loss[1], epochs(plain)$loss[1] + 200)
    unweighted <- trained(n_epochs_kl_warmup = NULL, max_kl_weight = 0)
    expect_equal(state_dict(model(free)), state_dict(model(unweighted)), tolerance = 1e-6)
})

test_that("log dispersions with a rate of their own move by about that much a step, and at first nothing else does", {
    dataset <- small_dataset()
    one_step <- function(...) {
        trainer <- UnsupervisedTrainer(small_model(dataset), dataset, train_size = 1,
            batch_size = nb_cells(dataset), ...)
        state_dict(model(train(trainer, n_epochs = 1, seed = 1)))
    }
    before <- state_dict(small_model(dataset))
    slow <- one_step()
    fast <- one_step(lr_dispersion = 0.5)
    others <- setdiff(names(before), "px_r")
    expect_identical(fast[others], slow[others])
    # Adam's first step is lr * g / (|g| + eps).
    expect_equal(as.vector(abs(fast$px_r - before$px_r)), rep(0.5, 12), tolerance = 1e-3)
    expect_identical(sign(fast$px_r - before$px_r), sign(slow$px_r - before$px_r))
    expect_lt(max(abs(slow$px_r - before$px_r)), 1e-3)
})

test_that("log dispersions stay where they start for as long as told, over calls of train()", {
    dataset <- small_dataset()
    trainer <- UnsupervisedTrainer(small_model(dataset, dispersion_start = "one"), dataset, train_size = 1,
        batch_size = 20, n_iter_fixed_dispersion = 6, lr_dispersion = 0.02, seed = 1)
    log_theta <- function() as.vector(state_dict(model(trainer))$px_r)
    expect_identical(log_theta(), rep(0, 12))
    before <- state_dict(model(trainer))$z_encoder.mean_encoder.weight
    train(trainer, n_epochs = 2, seed = 1)
    expect_identical(log_theta(), rep(0, 12))
    expect_false(identical(state_dict(model(trainer))$z_encoder.mean_encoder.weight, before))
    expect_true(dispersions_rest(trainer))
    poisson <- small_model(dataset, reconstruction_loss = "poisson")
    expect_false(dispersions_rest(UnsupervisedTrainer(poisson, dataset, n_iter_fixed_dispersion = 6)))
    train(trainer, n_epochs = 1, seed = 1)
    expect_false(dispersions_rest(trainer))
    expect_true(all(log_theta() != 0))
    # Three steps of Adam, each of hardly more than its rate.
    expect_lt(max(abs(log_theta())), 0.065)
    # A trainer that was saved before there was such a thing.
    older <- UnsupervisedTrainer(small_model(dataset), dataset, seed = 1)
    older@options$n_iter_fixed_dispersion <- NULL
    expect_identical(state_dict(model(train(older, n_epochs = 2, seed = 1))),
        state_dict(model(train(UnsupervisedTrainer(small_model(dataset), dataset, seed = 1), n_epochs = 2, seed = 1))))
})

test_that("precision: single, or bfloat16 where the processor knows it; elsewhere it is said", {
    # Large enough for the products to be rounded: 128 cells x 128 units x 256 genes.
    dataset <- GeneExpressionDataset(matrix(rpois(300 * 130, 1), 300, 130))
    trained <- function(...) {
        trainer <- UnsupervisedTrainer(VAE(dataset, seed = 1), dataset, train_size = 1, seed = 1, use_cuda = FALSE, ...)
        suppressWarnings(train(trainer, n_epochs = 3, seed = 1), classes = "rscvi_no_bfloat16")
    }
    single <- trained()
    rounded <- trained(precision = "bfloat16")
    expect_equal(history(rounded)$loss, history(single)$loss, tolerance = 1e-3)
    same <- identical(state_dict(model(rounded)), state_dict(model(single)))
    expect_identical(same, !has_bfloat16_products_cpp())

    expect_warning(check_precision("bfloat16", FALSE, known = FALSE), "training is in single precision",
        class = "rscvi_no_bfloat16")
    expect_silent(check_precision("bfloat16", FALSE, known = TRUE))
    expect_silent(check_precision("single", FALSE, known = FALSE))

    older <- UnsupervisedTrainer(VAE(dataset, seed = 1), dataset, train_size = 1, seed = 1, use_cuda = FALSE)
    older@options$precision <- NULL
    expect_identical(state_dict(model(train(older, n_epochs = 3, seed = 1))), state_dict(model(single)))
})

test_that("step_graph: steps are repeated on a GPU, if rscvi was built for it; else they are called, as it says", {
    dataset <- small_dataset()
    trained <- function(...) {
        train(UnsupervisedTrainer(small_model(dataset), dataset, seed = 1, use_cuda = FALSE, ...),
            n_epochs = 2, seed = 1)
    }
    expect_warning(asked <- trained(step_graph = TRUE), "called one by one", class = "rscvi_no_step_graph")
    expect_identical(state_dict(model(asked)), state_dict(model(trained())))

    expect_true(repeats_steps(TRUE, NULL, known = TRUE))
    expect_silent(expect_false(repeats_steps(FALSE, NULL, known = FALSE)))
    expect_warning(expect_false(repeats_steps(TRUE, NULL, known = FALSE)), class = "rscvi_no_step_graph")
    expect_warning(expect_false(repeats_steps(TRUE, FALSE, known = TRUE)), class = "rscvi_no_step_graph")
})
