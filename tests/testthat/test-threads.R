# Threads: how many are asked for, that rscvi's number holds while it computes and nowhere else, and what it changes.

# The threads in force here: of LibTorch and OpenMP, and of a BLAS with a count of its own (0: none).
threads_in_force <- function() {
    before <- compute_with_threads_cpp(1L)
    set_threads_cpp(before)
    before
}

# With environment variables and options as given (NULL: not set).
with_settings <- function(expr, variables = character(), option = NULL) {
    old_option <- options(rscvi.num_threads = option)
    names <- c("RSCVI_NUM_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "_R_CHECK_LIMIT_CORES_")
    old <- Sys.getenv(names, unset = NA)
    on.exit({
        options(old_option)
        Sys.unsetenv(names)
        if (!all(is.na(old))) do.call(Sys.setenv, as.list(old[!is.na(old)]))
    })
    Sys.unsetenv(names)
    if (length(variables)) do.call(Sys.setenv, as.list(variables))
    expr
}

test_that("num_threads() says, sets and resets, and gives back what was before", {
    start <- num_threads()
    expect_type(start, "integer")
    expect_gte(start, 1L)
    on.exit(process$asked <- asked)
    asked <- process$asked
    expect_identical(expect_invisible(num_threads(3)), start)
    expect_identical(num_threads(), 3L)
    expect_identical(num_threads(NULL), 3L)
    expect_identical(num_threads(), default_threads())
    num_threads(2L)
    expect_identical(num_threads("default"), 2L)
    expect_identical(num_threads(), default_threads())
})

test_that("what is no number of threads is refused by name and value, and changes nothing", {
    before <- num_threads()
    for (bad in list(0, -1, 1.5, NA_real_, "two", 1:2, TRUE, 1025, Inf)) {
        error <- expect_error(num_threads(bad), class = "rscvi_invalid_argument")
        expect_match(conditionMessage(error), "`n` must be one whole number from 1 to 1024, not ", fixed = TRUE)
        expect_match(conditionMessage(error), "num_threads(NULL)", fixed = TRUE)
    }
    expect_error(num_threads("two"), "not \"two\"", fixed = TRUE)
    expect_identical(num_threads(), before)
})

test_that("the default heeds OpenMP's variables and R CMD check", {
    granted <- with_settings(default_threads())
    expect_identical(with_settings(default_threads(), c(OMP_NUM_THREADS = "1")), 1L)
    expect_identical(with_settings(default_threads(), c(OMP_THREAD_LIMIT = "1")), 1L)
    expect_identical(with_settings(default_threads(), c(OMP_NUM_THREADS = "1000,2")), granted)
    for (limit in c("TRUE", "warn", "2")) {
        expect_identical(with_settings(default_threads(), c("_R_CHECK_LIMIT_CORES_" = limit)), min(granted, 2L))
    }
    expect_identical(with_settings(default_threads(), c("_R_CHECK_LIMIT_CORES_" = "FALSE")), granted)
})

test_that("option and variable are read at load, the option first; what is neither is ignored with a warning", {
    expect_null(with_settings(threads_asked_at_load()))
    expect_identical(with_settings(threads_asked_at_load(), c(RSCVI_NUM_THREADS = "3")), 3L)
    expect_identical(with_settings(threads_asked_at_load(), c(RSCVI_NUM_THREADS = "3"), option = 5), 5L)
    expect_identical(with_settings(threads_asked_at_load(), option = "4"), 4L)
    expect_null(with_settings(threads_asked_at_load(), c(RSCVI_NUM_THREADS = "default")))
    expect_null(with_settings(threads_asked_at_load(), c(RSCVI_NUM_THREADS = "3"), option = "default"))
    for (bad in c("many", "0", "2.5")) {
        expect_warning(with_settings(expect_null(threads_asked_at_load()), c(RSCVI_NUM_THREADS = bad)),
            sprintf("environment variable RSCVI_NUM_THREADS is \"%s\", and ignored", bad), class = "rscvi_bad_setting")
    }
    expect_warning(with_settings(expect_null(threads_asked_at_load()), option = -1),
        "option rscvi.num_threads is -1, and ignored", class = "rscvi_bad_setting")
})

test_that("a new session has the number that its environment asks for", {
    script <- sprintf(".libPaths(%s); cat(rscvi::num_threads())", paste(deparse(.libPaths()), collapse = ""))
    told <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(script)),
        env = "RSCVI_NUM_THREADS=3", stdout = TRUE)
    expect_identical(told, "3")
})

test_that("the number holds while rscvi computes; OpenMP, LibTorch and BLAS get back theirs, after errors too", {
    asked <- process$asked
    here <- threads_in_force()
    on.exit({
        process$asked <- asked
        set_threads_cpp(here)
    })
    set_threads_cpp(c(2L, here[2L]))
    outside <- threads_in_force()
    for (n in c(1L, 3L)) {
        num_threads(n)
        expect_identical(core(threads_in_force())[1L], n)
        expect_lte(core(threads_in_force())[2L], n)
        expect_identical(threads_in_force(), outside)
        expect_error(core(stop("no")), "no")
        expect_identical(threads_in_force(), outside)
    }
})

test_that("one thread and two agree to rounding, and each gives the same bits every time", {
    asked <- process$asked
    on.exit(process$asked <- asked)
    # Wide enough for LibTorch, its BLAS and the package's loops to share the work out.
    set.seed(1)
    counts <- matrix(rnbinom(700 * 300, mu = rgamma(700, 1), size = 2), 700)
    counts[1, ] <- counts[1, ] + 1
    dataset <- GeneExpressionDataset(counts)
    fit <- function(n) {
        num_threads(n)
        model <- VAE(dataset, seed = 1)
        trainer <- train(UnsupervisedTrainer(model, dataset, seed = 2), n_epochs = 2, seed = 3)
        state_dict(model(trainer))
    }
    model <- VAE(dataset, seed = 1)
    post <- Posterior(model, dataset)
    ask <- function(n) {
        num_threads(n)
        list(latent = get_latent(post)$latent, elbo = elbo(post, seed = 4), scale = get_sample_scale(post, seed = 5),
            marginal_ll = marginal_ll(post, n_mc_samples = 10, seed = 6))
    }
    one <- ask(1)
    two <- ask(2)
    expect_identical(ask(1), one)
    expect_identical(ask(2), two)
    expect_equal(two, one, tolerance = 1e-6)
    expect_identical(fit(1), fit(1))
    expect_identical(fit(2), fit(2))
})

test_that("a forked process has one thread, and says so when asked for more", {
    skip_on_os("windows")
    job <- parallel::mcparallel(list(has = num_threads(), one = num_threads(1), default = num_threads("default"),
        more = tryCatch(num_threads(2), rscvi_forked = function(e) conditionMessage(e))))
    child <- parallel::mccollect(job)[[1L]]
    expect_identical(child[1:3], list(has = 1L, one = 1L, default = 1L))
    expect_match(child$more, "`n` is 2, but a process that was forked computes with one thread", fixed = TRUE)
    expect_match(child$more, "SnowParam()", fixed = TRUE)
})
