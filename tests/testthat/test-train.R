# Training: steps, history, warm-up, going on, seeds, corrupted counts, divergence, interruption.

dataset <- small_dataset()
trainer_of <- function(..., model = small_model(data), data = dataset) UnsupervisedTrainer(model, data, ...)
trained <- function(..., n_epochs = 3, lr = 1e-2, seed = 1, verbose = NULL) {
    train(trainer_of(...), n_epochs = n_epochs, lr = lr, seed = seed, verbose = verbose)
}
weights <- function(trainer) state_dict(model(trainer))
n_iter <- function(trainer) trainer@state$n_iter

test_that("train's defaults are those of 0.6.8", {
    expect_identical(as.list(formals(train))[c("n_epochs", "lr", "eps")], list(n_epochs = 400, lr = 1e-3, eps = 0.01))
    method <- selectMethod("train", "UnsupervisedTrainer")
    expect_identical(as.list(formals(method))[c("n_epochs", "lr", "eps")], list(n_epochs = 400, lr = 1e-3, eps = 0.01))
})

test_that("an epoch is one step of the optimiser a minibatch, on the cells in some order", {
    cells <- c(3, 20, 41, 58)
    x <- t(as.matrix(counts(dataset)))
    minibatch <- function(order) {
        i <- cells[order]
        list(x = x[i, ], local_l_mean = local_means(dataset)[i], local_l_var = local_vars(dataset)[i],
            batch_index = batch_indices(dataset)[i])
    }
    orders <- as.matrix(expand.grid(1:4, 1:4, 1:4, 1:4))
    orders <- orders[apply(orders, 1, function(order) !anyDuplicated(order)), ]
    found <- list()
    for (epoch in 1:2) {
        trainer <- trained(train_indices = cells, n_epochs = epoch, n_epochs_kl_warmup = NULL)
        fits <- vapply(seq_len(nrow(orders)), function(k) {
            model <- small_model(dataset)
            losses <- fit_minibatches(model, lapply(c(found, list(orders[k, ])), minibatch), lr = 1e-2, seed = 1)
            identical(state_dict(model), weights(trainer)) && identical(losses, history(trainer)$loss[-1])
        }, NA)
        # Dropout and noise go by rows, so that no other order gives the same bits.
        expect_identical(sum(fits), 1L)
        found <- c(found, list(orders[which(fits), ]))
    }
    expect_false(identical(found[[1]], found[[2]]))
})

test_that("a last minibatch of fewer than 3 cells is left out, and only that", {
    tracked <- function(trainer) weights(trainer)[["z_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked"]]
    steps <- c("16" = 2, "17" = 2, "18" = 2, "19" = 3, "8" = 1, "5" = 1)
    for (n in names(steps)) {
        trainer <- trained(train_indices = seq_len(as.numeric(n)), batch_size = 8)
        expect_identical(n_iter(trainer), 3 * steps[[n]])
        expect_identical(tracked(trainer), 3 * steps[[n]])
        expect_true(all(is.finite(history(trainer)$loss[-1])))
    }
    expect_error(trained(train_indices = 1:2), "2 cells; at least 3", class = "rscvi_invalid_argument")
})

test_that("the history: a row an epoch, a column a metric and set, filled every `frequency` epochs and at the end", {
    trainer <- trained(train_size = 0.5, test_size = 0.3, n_epochs = 7, frequency = 3, batch_size = 20,
        metrics_to_monitor = "reconstruction_error")
    done <- history(trainer)
    expect_s3_class(done, "data.frame")
    sets <- c("train_set", "test_set", "validation_set")
    metrics <- as.vector(rbind(paste0("elbo_", sets), paste0("reconstruction_error_", sets)))
    expect_identical(names(done), c("epoch", "loss", "kl_weight", "lr", metrics))
    expect_identical(done$epoch, as.numeric(0:7))
    for (metric in metrics) expect_identical(which(!is.na(done[[metric]])), c(1L, 4L, 7L, 8L), info = metric)
    expect_true(all(is.na(done[1, c("loss", "kl_weight", "lr")])))
    expect_true(all(is.finite(done$loss[-1])))
    expect_identical(done$lr[-1], rep(1e-2, 7))
    for (set in sets) {
        gap <- done[[paste0("elbo_", set)]] - done[[paste0("reconstruction_error_", set)]]
        expect_true(all(gap[c(1, 4, 7, 8)] > 0))
    }
    # The last row is the model as it now is, but for the draws.
    set <- test_set(trainer)
    draws <- vapply(1:40, function(seed) elbo(set, seed = seed), 0)
    expect_lt(abs(done$elbo_test_set[8] - mean(draws)), 5 * stats::sd(draws))
    # Without a frequency nothing is computed; a set of fewer than 5 cells never is.
    expect_true(all(is.na(history(trained())[-(1:4)])))
    few <- history(trained(train_size = 0.95, frequency = 1))
    expect_true(all(is.na(few$elbo_test_set)) && !anyNA(few$elbo_train_set))
    none <- history(trained(train_size = 1, frequency = 1))
    expect_true(all(is.na(none$elbo_test_set)) && !anyNA(none$elbo_train_set))
})

test_that("training is done in place, lowers the loss, and a posterior made before sees it", {
    model <- small_model(dataset)
    trainer <- UnsupervisedTrainer(model, dataset, train_size = 0.8, batch_size = 16, frequency = 60)
    post <- test_set(trainer)
    before <- c(elbo(post, seed = 1), marginal_ll(post, 200, seed = 1))
    returned <- withVisible(train(trainer, n_epochs = 60, lr = 1e-2, seed = 1))
    expect_false(returned$visible)
    expect_identical(returned$value, trainer)
    after <- c(elbo(post, seed = 1), marginal_ll(post, 200, seed = 1))
    expect_lt(after[1], before[1] - 30)
    expect_lt(after[2], before[2] - 3)
    expect_identical(elbo(test_set(trainer), seed = 1), after[1])
    done <- history(trainer)
    expect_lt(mean(done$loss[52:61]), done$loss[2] - 30)
    expect_lt(done$elbo_test_set[61], done$elbo_test_set[1] - 30)
})

test_that("the KL weight rises by epochs, or by minibatches, or is 1, and it matters", {
    kl <- function(..., n_epochs = 5) history(trained(..., n_epochs = n_epochs))$kl_weight[-1]
    expect_equal(kl(), (0:4) / 400)
    expect_equal(kl(n_epochs_kl_warmup = 2), c(0, 0.5, 1, 1, 1))
    expect_equal(kl(n_epochs_kl_warmup = 2, n_iter_kl_warmup = 100), c(0, 0.5, 1, 1, 1))
    # 54 cells in minibatches of 18: 3 an epoch; the weight at the start of the epoch.
    expect_equal(kl(n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 10, batch_size = 18), c(0, 0.3, 0.6, 0.9, 1))
    expect_equal(kl(n_epochs_kl_warmup = NULL), rep(1, 5))
    # 0.6.8 divides by zero here.
    expect_equal(kl(n_epochs_kl_warmup = 0), rep(1, 5))
    expect_equal(kl(n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 0), rep(1, 5))
    expect_identical(weights(trained(n_epochs_kl_warmup = 0)), weights(trained(n_epochs_kl_warmup = NULL)))
    # Within an epoch the weight goes on rising with the minibatches: not the same as with the weight of its start.
    rising <- trained(n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 10, batch_size = 18, n_epochs = 1)
    flat <- trained(n_epochs_kl_warmup = 10, batch_size = 18, n_epochs = 1)
    expect_identical(history(rising)$kl_weight, history(flat)$kl_weight)
    expect_false(identical(weights(rising), weights(flat)))
    # A weight that is 0 throughout lets q(z|x) go its own way.
    kl_z <- function(...) {
        post <- create_posterior(trained(..., n_epochs = 60, batch_size = 18))
        mean(unlist(for_each_minibatch(post, function(x, local_l_mean, local_l_var, batch_index, labels) {
            loss_terms(model(post), x, local_l_mean, local_l_var, batch_index, seed = 1)$kl_z
        })))
    }
    expect_lt(kl_z(n_epochs_kl_warmup = NULL), 0.7 * kl_z(n_epochs_kl_warmup = 1e6))
})

test_that("training again goes on where it was, with the count of minibatches, but a new warm-up by epochs", {
    trainer <- trainer_of(batch_size = 18, n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 20, frequency = 1)
    train(trainer, n_epochs = 3, seed = 1)
    expect_identical(n_iter(trainer), 9)
    middle <- weights(trainer)
    train(trainer, n_epochs = 2, seed = 2)
    expect_identical(n_iter(trainer), 15)
    expect_identical(history(trainer)$epoch, c(0, 1, 2))
    expect_equal(history(trainer)$kl_weight[-1], c(9, 12) / 20)
    expect_false(identical(weights(trainer), middle))
    # The second call depends on the weights, the count and its seed, and on nothing else of the first.
    again <- trainer_of(model = load_state_dict(small_model(dataset, seed = 5), middle), batch_size = 18,
        n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 20)
    again@state$n_iter <- 9
    train(again, n_epochs = 2, seed = 2)
    expect_identical(weights(again), weights(trainer))
    by_epochs <- train(trained(n_epochs_kl_warmup = 2), n_epochs = 3, seed = 2)
    expect_equal(history(by_epochs)$kl_weight[-1], c(0, 0.5, 1))
})

test_that("n_epochs may be 0, and NULL is min(400, round(400 * 20000 / n))", {
    trainer <- trainer_of(frequency = 1)
    before <- weights(trainer)
    train(trainer, n_epochs = 0, seed = 1)
    expect_identical(weights(trainer), before)
    expect_identical(history(trainer)$epoch, 0)
    expect_true(is.finite(history(trainer)$elbo_train_set))
    expect_identical(n_iter(trainer), 0)
    rule <- vapply(c(60, 20000, 20100, 1e5, 1e6, 1e8), function(n) resolve_n_epochs(NULL, n), 0L)
    expect_identical(rule, c(400L, 400L, 398L, 80L, 8L, 1L))
    expect_identical(max(history(train(trainer_of(), n_epochs = NULL, seed = 1))$epoch), 400)
})

test_that("the same seed gives the same bits, whatever is looked at on the way, and another seed others", {
    wanted <- weights(trained())
    expect_identical(weights(trained()), wanted)
    expect_identical(weights(trained(frequency = 1, metrics_to_monitor = "reconstruction_error")), wanted)
    expect_identical(weights(suppressMessages(trained(verbose = TRUE))), wanted)
    expect_false(identical(weights(trained(seed = 2)), wanted))
    without <- trained(frequency = 1)
    expect_identical(history(trained(frequency = 1)), history(without))
    # Sparse, dense and integer counts are the same counts.
    dense <- as.matrix(counts(dataset))
    for (x in list(dense, matrix(as.integer(dense), 12), Matrix::Matrix(dense, sparse = TRUE))) {
        same <- GeneExpressionDataset(x, batch = batch_indices(dataset), labels = labels(dataset))
        expect_identical(weights(trained(data = same)), wanted)
    }
    # But what is trained on matters, each of these.
    expect_false(identical(weights(trained(batch_size = 18)), wanted))
    expect_false(identical(weights(trained(weight_decay = 0.1)), wanted))
    expect_false(identical(weights(trained(lr = 2e-2)), wanted))
    expect_false(identical(weights(trained(model = small_model(dataset, dropout_rate = 0))), wanted))
    expect_false(identical(weights(train(trainer_of(), n_epochs = 3, lr = 1e-2, eps = 1e-8, seed = 1)), wanted))
})

test_that("a larger weight decay leaves smaller weights", {
    size <- function(trainer) sum(unlist(weights(trainer)[grep("(\\.0|coder)\\.weight$", names(weights(trainer)))])^2)
    expect_lt(size(trained(weight_decay = 5, n_epochs = 60)), 0.5 * size(trained(weight_decay = 0, n_epochs = 60)))
})

test_that("a corrupted trainer learns from the corrupted counts, and from nothing else", {
    corrupted_training <- function(..., frequency = NULL) {
        trainer <- trainer_of(frequency = frequency)
        corrupt_posteriors(trainer, ..., seed = 5)
        train(trainer, n_epochs = 3, lr = 1e-2, seed = 1)
    }
    expect_identical(weights(corrupted_training(rate = 0)), weights(trained()))
    # A data set whose counts are the corrupted ones, with the prior of the real ones.
    twin <- corrupt(dataset, rate = 0.6, corruption = "binomial", seed = 5)
    twin@counts <- corrupted_counts(twin)
    twin <- uncorrupt(twin)
    wanted <- trained(data = twin, frequency = 1)
    found <- corrupted_training(rate = 0.6, corruption = "binomial", frequency = 1)
    expect_identical(weights(found), weights(wanted))
    expect_identical(history(found), history(wanted))
    expect_false(identical(weights(found), weights(trained())))
    # Afterwards on the real ones again.
    uncorrupt_posteriors(found)
    train(found, n_epochs = 2, seed = 2)
    real <- trainer_of(model = load_state_dict(small_model(dataset), weights(wanted)))
    expect_identical(weights(found), weights(train(real, n_epochs = 2, seed = 2)))
})

test_that("arguments of train are refused by name, and nothing is changed", {
    trainer <- trained()
    before <- weights(trainer)
    done <- history(trainer)
    refuse <- function(message, ...) {
        expect_error(train(trainer, ...), message, class = "rscvi_invalid_argument")
        expect_identical(weights(trainer), before)
        expect_identical(history(trainer), done)
    }
    refuse("`lr`.*\\(0, Inf\\).*not 0", lr = 0)
    refuse("`lr`.*not -0.1", lr = -0.1)
    refuse("`lr`.*not NA", lr = NA_real_)
    refuse("`lr`.*not Inf", lr = Inf)
    refuse("`lr`.*\"fast\"", lr = "fast")
    refuse("`eps`.*not 0", eps = 0)
    refuse("`n_epochs`.*not -1", n_epochs = -1)
    refuse("`n_epochs`.*not 1.5", n_epochs = 1.5)
    refuse("`n_epochs`.*length 2", n_epochs = 1:2)
    refuse("`seed`.*not -1", seed = -1)
    refuse("`verbose`.*\"yes\"", verbose = "yes")
    expect_error(train(model(trainer)), "train")
})

test_that("divergence is an error that names the epoch, and the model is the last one that was sound", {
    trainer <- trained(batch_size = 18)
    before <- weights(trainer)
    error <- expect_error(train(trainer, n_epochs = 4, lr = 1e10, seed = 1), class = "rscvi_diverged")
    expect_s3_class(error, "rscvi_error")
    expect_match(conditionMessage(error), "diverged in epoch 1 of 4")
    expect_match(conditionMessage(error), "as it was before training")
    expect_match(conditionMessage(error), "lr = 1e+09", fixed = TRUE)
    expect_identical(weights(trainer), before)
    expect_true(is.finite(elbo(test_set(trainer), seed = 1)))
    expect_identical(history(trainer)$epoch, 0)
    # One minibatch an epoch: the last weights of epoch 1 are finite, and still nothing that one can go on from.
    one <- trained()
    before <- weights(one)
    expect_error(train(one, n_epochs = 4, lr = 1e10, seed = 1), "epoch 2 of 4.*as it was before training",
        class = "rscvi_diverged")
    expect_identical(weights(one), before)
    expect_error(train(one, n_epochs = 1, lr = 1e10, seed = 1), "epoch 1 of 1.*as it was before training",
        class = "rscvi_diverged")
    expect_identical(weights(one), before)
    for (again in list(trainer, one)) {
        expect_error(train(again, n_epochs = 30, lr = 1e-2, seed = 1), NA)
        expect_lt(history(again)$loss[31], history(again)$loss[2])
    }
})

test_that("divergence in a later epoch goes back to the end of a sound one, to the bit", {
    # Counts like these and a thousand times these: raw ones overflow once the weights have grown a little.
    wild <- as.matrix(counts(dataset))
    wild[, 1:10] <- wild[, 1:10] * 1e3
    data <- GeneExpressionDataset(wild)
    start <- function() trainer_of(data = data, batch_size = 18, model = small_model(data, log_variational = FALSE))
    divergence <- function(trainer, ...) {
        tryCatch({
            train(trainer, ..., seed = 1)
            NULL
        }, rscvi_diverged = conditionMessage)
    }
    late <- 0
    # A learning rate that diverges late, and not with the epoch to go back to already (the end of training is judged
    # without dropout, other epochs by the next one's first losses).
    for (lr in c(0.8, 1, 1.4, 0.7, 1.2, 0.9, 1.1, 1.3, 0.75, 0.85, 0.95, 1.05, 1.15, 1.25, 1.35, 1.5, 0.6,
        0.5, 2, 0.3, 3)) {
        message <- divergence(trainer <- start(), n_epochs = 40, lr = lr)
        if (is.null(message) || !grepl("after epoch", message)) next
        late <- as.numeric(sub("(?s).*after epoch ([0-9]+)\\..*", "\\1", message, perl = TRUE))
        if (is.null(divergence(reference <- start(), n_epochs = late, lr = lr))) break
        late <- 0
    }
    expect_gte(late, 1)
    expect_identical(weights(trainer), weights(reference))
    expect_true(all(is.finite(unlist(weights(trainer)))))
})

test_that("max_nans minibatches in a row without a finite loss end training, fewer do not", {
    # The first weights give no finite loss to a huge library, whatever is learned.
    diverges <- function(max_nans) {
        model <- small_model(dataset)
        state <- state_dict(model)
        state[["l_encoder.mean_encoder.bias"]] <- 1e4
        load_state_dict(model, state)
        trainer <- trainer_of(model = model, batch_size = 18, max_nans = max_nans)
        tryCatch(train(trainer, n_epochs = 6, seed = 1), rscvi_diverged = identity)
    }
    # 3 minibatches an epoch; each is left out.
    expect_match(conditionMessage(diverges(3)), "epoch 1 of 6")
    expect_match(conditionMessage(diverges(4)), "epoch 2 of 6")
    expect_match(conditionMessage(diverges(18)), "epoch 6 of 6")
    expect_match(conditionMessage(diverges(18)), "before training")
})

test_that("an error or an interrupt in the progress display leaves a model that is whole", {
    consistent <- function(model) identical(model_state_cpp(model_handle(model)), state_dict(model))
    package <- asNamespace("rscvi")
    original <- package$training_progress
    put <- function(value) {
        unlockBinding("training_progress", package)
        assign("training_progress", value, package)
        lockBinding("training_progress", package)
    }
    withr::defer(put(original))
    display <- function(update) put(function(...) list(update = update, done = function() invisible()))

    trainer <- trainer_of()
    before <- weights(trainer)
    display(function(epoch, ...) if (epoch == 2) stop("no ink"))
    expect_error(train(trainer, n_epochs = 4, seed = 1), "no ink")
    expect_identical(weights(trainer), before)
    expect_true(consistent(model(trainer)))

    display(function(epoch, ...) if (epoch == 2) rlang::interrupt())
    # An interrupt that got out would end the whole run of tests.
    tryCatch(
        expect_warning(train(trainer, n_epochs = 4, lr = 1e-2, seed = 1), "interrupted in epoch 3 of 4",
            class = "rscvi_interrupted"),
        interrupt = function(condition) fail("the interrupt got out of train()")
    )
    expect_true(consistent(model(trainer)))
    expect_identical(weights(trainer), weights(trained(n_epochs = 2)))
    resting <- trainer_of(n_iter_fixed_dispersion = 1000)
    tryCatch(expect_warning(train(resting, n_epochs = 4, seed = 1), "dispersions have not begun to learn"),
        interrupt = function(condition) fail("the interrupt got out of train()"))
    display(NULL)
    expect_warning(train(trainer, n_epochs = 1, seed = 1), NA)
})

# Runs R code in a process of its own, with `dataset` there; what it leaves in `result`.
in_child <- function(code, seconds = 100) {
    files <- vapply(c(script = ".R", data = ".rds", result = ".rds"), function(ext) tempfile(fileext = ext), "")
    on.exit(unlink(files))
    saveRDS(dataset, files[["data"]])
    writeLines(c(
        sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")),
        "library(rscvi)",
        sprintf("dataset <- readRDS(%s)", deparse(files[["data"]])),
        code,
        sprintf("saveRDS(result, %s)", deparse(files[["result"]]))
    ), files[["script"]])
    output <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(files[["script"]])),
        stdout = TRUE, stderr = TRUE, timeout = seconds))
    if (!file.exists(files[["result"]])) stop("the child ended early: ", paste(output, collapse = "\n"))
    readRDS(files[["result"]])
}

test_that("Ctrl-C stops training with a warning, and the session goes on with the model as it then is", {
    skip_on_os("windows")
    result <- in_child('
        trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8, seed = 1), dataset, batch_size = 18)
        before <- state_dict(model(trainer))
        system(sprintf("(sleep 2; kill -INT %d) &", Sys.getpid()))
        caught <- NULL
        seconds <- system.time(withCallingHandlers(
            train(trainer, n_epochs = 1e6, seed = 1),
            warning = function(w) {
                caught <<- w
                invokeRestart("muffleWarning")
            }
        ))[["elapsed"]]
        post <- test_set(trainer)
        saved <- unserialize(serialize(post, NULL))
        result <- list(class = class(caught), message = conditionMessage(caught), seconds = seconds,
            changed = !identical(state_dict(model(trainer)), before), history = history(trainer),
            n_iter = trainer@state$n_iter, elbo = elbo(post, seed = 1), elbo_saved = elbo(saved, seed = 1))
        train(trainer, n_epochs = 2, seed = 2)
        result$history_after <- history(trainer)
    ')
    expect_true("rscvi_interrupted" %in% result$class)
    expect_match(result$message, "interrupted in epoch [0-9]+ of 1000000|interrupted in epoch [0-9]+ of 1e\\+06")
    expect_lt(result$seconds, 60)
    expect_true(result$changed)
    epoch <- as.numeric(sub(".*in epoch ([0-9]+) of.*", "\\1", result$message))
    expect_identical(result$history$epoch, as.numeric(0:epoch))
    # 3 minibatches an epoch; the one that was begun may be anywhere.
    expect_true(result$n_iter >= 3 * (epoch - 1) && result$n_iter <= 3 * epoch)
    expect_true(all(is.finite(result$history$loss[2:epoch])))
    expect_true(is.finite(result$elbo))
    expect_identical(result$elbo_saved, result$elbo)
    expect_identical(result$history_after$epoch, c(0, 1, 2))
    expect_true(all(is.finite(result$history_after$loss[-1])))
})

test_that("a profiler, whose signals come at any moment, does no harm", {
    skip_on_os("windows")
    expect_true(in_child('
        trained <- function() {
            trainer <- UnsupervisedTrainer(VAE(dataset, seed = 1), dataset, seed = 1)
            state_dict(model(train(trainer, n_epochs = 200, seed = 1)))
        }
        expected <- trained()
        utils::Rprof(tempfile(), interval = 0.001)
        profiled <- trained()
        utils::Rprof(NULL)
        result <- identical(profiled, expected)
    '))
})

test_that("losses that are not finite to the end are a divergence, however few", {
    model <- small_model(dataset)
    state <- state_dict(model)
    state[["l_encoder.mean_encoder.bias"]] <- 1e4
    load_state_dict(model, state)
    trainer <- trainer_of(model = model, batch_size = 18, max_nans = 19)
    expect_error(train(trainer, n_epochs = 6, seed = 1), "epoch 6 of 6", class = "rscvi_diverged")
})
