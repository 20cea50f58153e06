# What is shown while training: nothing unless somebody looks, lines in a log, a bar in a terminal.

dataset <- small_dataset()
train_for <- function(n_epochs, ..., show_progbar = NULL) {
    trainer <- UnsupervisedTrainer(small_model(dataset), dataset, show_progbar = show_progbar)
    train(trainer, n_epochs = n_epochs, seed = 1, ...)
}
lines_of <- function(expr) {
    lines <- character(0)
    withCallingHandlers(expr, message = function(m) {
        lines <<- c(lines, conditionMessage(m))
        invokeRestart("muffleMessage")
    })
    trimws(gsub("\\s+", " ", lines))
}

test_that("a session that nobody looks at is silent, unless it is told to speak", {
    withr::local_envvar(R_CLI_DYNAMIC = "false")
    expect_identical(resolve_verbose(NULL), interactive())
    rlang::with_interactive({
        expect_identical(resolve_verbose(FALSE), FALSE)
        expect_identical(resolve_verbose(TRUE), TRUE)
    }, value = FALSE)
    skip_if(interactive())
    expect_silent(train_for(3))
    expect_silent(train_for(3, verbose = FALSE))
    expect_silent(train_for(3, show_progbar = FALSE))
    expect_match(lines_of(train_for(3, show_progbar = TRUE)), "^Epoch [123]/3 ", all = TRUE)
    # The call has the last word.
    expect_silent(train_for(3, verbose = FALSE, show_progbar = TRUE))
    expect_length(lines_of(train_for(3, verbose = TRUE, show_progbar = FALSE)), 3)
})

test_that("a document that is knitted is silent", {
    # Not while testthat works: withr would ask knitr, which need not be there.
    shown <- withr::with_options(list(knitr.in.progress = TRUE), c(resolve_verbose(NULL), resolve_verbose(TRUE)))
    expect_identical(shown, c(FALSE, TRUE))
})

test_that("a log gets a line every tenth of the way and at the end, with the epoch and its loss", {
    withr::local_envvar(R_CLI_DYNAMIC = "false")
    trainer <- NULL
    lines <- lines_of(trainer <- train_for(25, verbose = TRUE))
    epochs <- as.numeric(sub("^Epoch ([0-9]+)/25 .*", "\\1", lines))
    expect_identical(epochs, c(seq(2, 24, by = 2), 25))
    losses <- as.numeric(sub(".*loss ([0-9.]+) .*", "\\1", lines))
    expect_identical(losses, round(history(trainer)$loss[epochs + 1], 1))
    expect_match(lines, "\\| [0-9]+ s$", all = TRUE)
    expect_length(lines_of(train_for(4, verbose = TRUE)), 4)
    expect_length(lines_of(train_for(0, verbose = TRUE)), 0)
})

test_that("a terminal gets a bar that counts the epochs, and is closed in the end", {
    withr::local_envvar(R_CLI_DYNAMIC = "true")
    withr::local_options(cli.progress_show_after = 0, cli.progress_clear = FALSE)
    bar <- training_progress(3, TRUE)
    expect_true(is.function(bar$update) && is.function(bar$done))
    capture <- utils::capture.output({
        for (epoch in 1:3) bar$update(epoch, 3, 12.34)
        bar$done()
    }, type = "message")
    # cli draws when it wants to; what matters is that nothing is left open and training gives what it gives without.
    expect_true(is.character(capture))
    shown <- utils::capture.output(trainer <- train_for(3, verbose = TRUE), type = "message")
    expect_identical(state_dict(model(trainer)), state_dict(model(train_for(3))))
    expect_length(cli::cli_progress_cleanup(), 0)
})

test_that("nothing is made for nothing to do", {
    expect_null(training_progress(0, TRUE)$update)
    expect_null(training_progress(5, FALSE)$update)
    expect_null(interruptible(NULL))
    expect_error(resolve_verbose("yes"), "`verbose`.*\"yes\"", class = "rscvi_invalid_argument")
})

test_that("an interrupt in the display asks for an end, an error stays one", {
    expect_true(interruptible(function(...) NULL)(1, 2, 3))
    expect_false(interruptible(function(...) rlang::interrupt())(1, 2, 3))
    expect_error(interruptible(function(...) stop("no ink"))(1, 2, 3), "no ink")
})
