# Early stopping from R: settings, when it stops, the best state, the learning rate on a plateau.

dataset <- small_dataset(n_cells = 80)
trainer_of <- function(kwargs, ..., lr = 1e-2, seed = 1) {
    UnsupervisedTrainer(small_model(dataset, seed = seed), dataset, train_size = 0.7, batch_size = 16,
        early_stopping_kwargs = kwargs, ...)
}
weights <- function(trainer) state_dict(model(trainer))
quietly <- function(expr) suppressMessages(expr, classes = "rscvi_message")

check <- function(kwargs) {
    check_early_stopping(kwargs, c("train_set", "test_set", "validation_set"), "test_set", monitorable_metrics(FALSE))
}

test_that("the settings are 0.6.8's, and NULL means no early stopping", {
    expect_equal(check(NULL), list(
        early_stopping_metric = NULL, save_best_state_metric = NULL, on = "test_set", patience = 15, threshold = 3,
        reduce_lr_on_plateau = FALSE, lr_patience = 10, lr_factor = 0.5
    ))
    expect_equal(check(list()), check(NULL))
    set <- check(list(early_stopping_metric = "elbo", patience = 3, lr_factor = 0.1))
    expect_identical(set[c("early_stopping_metric", "patience", "lr_factor", "on")],
        list(early_stopping_metric = "elbo", patience = 3L, lr_factor = 0.1, on = "test_set"))
})

test_that("wrong settings are refused by name", {
    refuse <- function(message, ...) {
        expect_error(trainer_of(list(...)), message, class = "rscvi_invalid_argument")
    }
    refuse("early_stopping_metric.*\"elbo\".*\"reconstruction_error\".*not \"accuracy\"",
        early_stopping_metric = "accuracy")
    refuse("save_best_state_metric.*\"loss\"", save_best_state_metric = "loss")
    refuse("`early_stopping_kwargs\\$on`.*\"test_set\".*\"labelled_set\"", on = "labelled_set")
    refuse("patience.*-1", patience = -1)
    refuse("threshold.*\"small\"", threshold = "small")
    refuse("reduce_lr_on_plateau.*1", reduce_lr_on_plateau = 1)
    refuse("lr_patience.*0", lr_patience = 0)
    refuse("lr_factor.*\\(0, 1\\].*1.5", lr_factor = 1.5)
    refuse("lr_factor.*0", lr_factor = 0)
    refuse("unknown element.*mode.*It may hold.*patience", mode = "min")
    expect_error(trainer_of("elbo"), "`early_stopping_kwargs`.*named list", class = "rscvi_invalid_argument")
    expect_error(trainer_of(list("elbo")), "named list", class = "rscvi_invalid_argument")
})

test_that("a set that is empty or too small to watch is refused when training starts, by name and size", {
    watch <- function(on, ...) {
        UnsupervisedTrainer(small_model(dataset), dataset, ...,
            early_stopping_kwargs = list(early_stopping_metric = "elbo", on = on))
    }
    refuse <- function(trainer, message) {
        before <- weights(trainer)
        expect_error(train(trainer, n_epochs = 3, seed = 1), message, class = "rscvi_invalid_argument")
        expect_identical(weights(trainer), before)
    }
    refuse(watch("test_set", train_size = 1), "'test_set', which has 0 cells; at least 5.*train_size")
    refuse(watch("test_set", train_size = 0.95), "'test_set', which has 4 cells")
    refuse(watch("validation_set"), "'validation_set', which has 0 cells")
})

test_that("training stops after `patience` epochs without a gain of `threshold`, and says so", {
    stopping <- function(...) trainer_of(list(early_stopping_metric = "elbo", ...))
    stop_at <- function(n_epochs = 40, ...) {
        trainer <- stopping(...)
        quietly(train(trainer, n_epochs = n_epochs, lr = 1e-2, seed = 1))
        max(history(trainer)$epoch)
    }
    # No gain is ever this large: the first epoch is the start, the next `patience` ones are waited for, then it stops.
    expect_identical(stop_at(threshold = 1e6, patience = 0), 1)
    expect_identical(stop_at(threshold = 1e6, patience = 4), 6)
    expect_identical(stop_at(threshold = 1e6, patience = 15), 17)
    # Every change is gain enough: to the end.
    expect_identical(stop_at(threshold = -1e6, patience = 1), 40)
    expect_message(train(stopping(threshold = 1e6, patience = 2), n_epochs = 40, seed = 1),
        "Stopped early after epoch 4 of 40", class = "rscvi_stopped_early")
    expect_message(train(stopping(threshold = -1e6, patience = 2), n_epochs = 4, seed = 1), NA)
    # The weights are those of that many epochs: looking takes no draw from training.
    stopped <- stopping(threshold = 1e6, patience = 4)
    quietly(train(stopped, n_epochs = 40, lr = 1e-2, seed = 1))
    plain <- train(trainer_of(NULL), n_epochs = 6, lr = 1e-2, seed = 1)
    expect_identical(weights(stopped), weights(plain))
    # What was looked at is recorded although there is no `frequency`.
    expect_false(anyNA(history(stopped)$elbo_test_set))
    expect_true(all(is.na(history(stopped)$elbo_train_set)))
})

test_that("every metric and every set can be watched", {
    for (metric in c("elbo", "reconstruction_error")) {
        for (on in c("train_set", "test_set", "validation_set")) {
            trainer <- trainer_of(list(early_stopping_metric = metric, on = on, threshold = 1e6, patience = 2),
                test_size = 0.15)
            quietly(train(trainer, n_epochs = 10, seed = 1))
            expect_identical(max(history(trainer)$epoch), 4)
            expect_false(anyNA(history(trainer)[[paste0(metric, "_", on)]]))
        }
    }
})

test_that("the best state is put back: an independent copy of the weights of that epoch", {
    for (metric in c("elbo", "reconstruction_error")) {
        trainer <- trainer_of(list(save_best_state_metric = metric))
        messages <- NULL
        withCallingHandlers(train(trainer, n_epochs = 60, lr = 0.3, seed = 1), rscvi_best_state = function(m) {
            messages <<- c(messages, conditionMessage(m))
            invokeRestart("muffleMessage")
        })
        expect_length(messages, 1)
        best <- as.numeric(sub("(?s).*after epoch ([0-9]+),.*", "\\1", messages, perl = TRUE))
        done <- history(trainer)
        expect_identical(max(done$epoch), 60)
        # The history holds the very numbers that decided, whatever `frequency` says.
        watched <- done[[paste0(metric, "_test_set")]]
        expect_false(anyNA(watched))
        expect_identical(best, done$epoch[which.min(watched)])
        expect_true(best > 0 && best < 60)
        expect_true(all(is.na(done$elbo_train_set)))
        # To the bit the weights of a training that ended there.
        plain <- trainer_of(NULL)
        train(plain, n_epochs = best, lr = 0.3, seed = 1)
        expect_identical(weights(trainer), weights(plain))
        # The posterior is as good as the history says, but for the draws that each of these numbers is made with.
        ask <- list(elbo = elbo, reconstruction_error = reconstruction_error)[[metric]]
        draws <- vapply(1:50, function(seed) ask(test_set(trainer), seed = seed), 0)
        expect_lt(abs(mean(draws) - min(watched)), 5 * stats::sd(draws))
        # Training on does not change what was put back: 0.6.8's best state was the live weights.
        saved <- weights(trainer)
        quietly(train(trainer, n_epochs = 1, lr = 1e-2, seed = 1))
        expect_identical(saved, weights(plain))
    }
})

test_that("if no epoch is better than the start, the start is put back", {
    trainer <- trainer_of(NULL)
    train(trainer, n_epochs = 150, lr = 1e-2, seed = 1)
    good <- weights(trainer)
    again <- UnsupervisedTrainer(model(trainer), dataset, train_size = 0.7, batch_size = 16,
        early_stopping_kwargs = list(save_best_state_metric = "reconstruction_error"))
    expect_message(train(again, n_epochs = 2, lr = 1, seed = 1), "before training", class = "rscvi_best_state")
    expect_identical(weights(again), good)
})

test_that("stopping follows the rule of 0.6.8 on the numbers of the history", {
    trainer <- trainer_of(list(early_stopping_metric = "elbo", patience = 3, threshold = 1))
    quietly(train(trainer, n_epochs = 200, lr = 1e-2, seed = 1))
    values <- history(trainer)$elbo_test_set[-1]
    best <- Inf
    wait <- 0
    for (epoch in seq_along(values)) {
        if (wait >= 3) break
        gain <- best - values[epoch]
        best <- min(best, values[epoch])
        wait <- if (gain < 1) wait + 1 else 0
    }
    expect_identical(length(values), epoch)
    expect_gt(epoch, 4)
    expect_lt(epoch, 200)
})

test_that("stopping and the best state work together", {
    trainer <- trainer_of(list(early_stopping_metric = "elbo", save_best_state_metric = "elbo", patience = 5,
        threshold = 1e6))
    best <- NULL
    withCallingHandlers(train(trainer, n_epochs = 50, lr = 0.1, seed = 1), rscvi_message = function(m) {
        if (inherits(m, "rscvi_best_state")) best <<- conditionMessage(m)
        invokeRestart("muffleMessage")
    })
    best <- as.numeric(sub("(?s).*after epoch ([0-9]+),.*", "\\1", best, perl = TRUE))
    expect_identical(max(history(trainer)$epoch), 7)
    plain <- train(trainer_of(NULL), n_epochs = best, lr = 0.1, seed = 1)
    expect_identical(weights(trainer), weights(plain))
})

test_that("the learning rate falls by lr_factor after lr_patience epochs on a plateau", {
    rates <- function(...) {
        kwargs <- utils::modifyList(list(early_stopping_metric = "elbo", reduce_lr_on_plateau = TRUE, threshold = 1e6,
            patience = 100, lr_patience = 3, lr_factor = 0.1), list(...))
        trainer <- trainer_of(kwargs)
        train(trainer, n_epochs = 11, lr = 1e-2, seed = 1)
        list(lr = history(trainer)$lr[-1], weights = weights(trainer))
    }
    # Epoch 1 is the start; after epochs 4, 7 and 10 three more without a gain have passed.
    fallen <- rates()
    expect_equal(fallen$lr, 1e-2 * c(1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001))
    expect_equal(rates(lr_patience = 5, lr_factor = 0.5)$lr, 1e-2 * rep(c(1, 0.5), c(6, 5)))
    steady <- rates(reduce_lr_on_plateau = FALSE)
    expect_equal(steady$lr, rep(1e-2, 11))
    expect_equal(rates(threshold = -1e6)$lr, rep(1e-2, 11))
    # The rate is not only written down: the weights move less.
    expect_false(identical(fallen$weights, steady$weights))
    start <- state_dict(small_model(dataset))
    moved <- function(weights) sum((unlist(weights) - unlist(start))[grep("mean_encoder", names(unlist(start)))]^2)
    expect_lt(moved(fallen$weights), moved(steady$weights))
})
