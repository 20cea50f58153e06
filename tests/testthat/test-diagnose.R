# diagnose(): each number against its definition, and verdicts that good and bad fits get.

# Counts of separable_dataset()'s three types, deeper: enough for a model to beat the null model in seconds.
diagnosed <- local({
    trainer <- NULL
    function() {
        if (is.null(trainer)) {
            dataset <- separable_dataset(n = 400)
            vae <- VAE(dataset, n_hidden = 32, n_latent = 3, reconstruction_loss = "nb", library = "observed", seed = 1)
            trainer <<- UnsupervisedTrainer(vae, dataset, train_size = 0.7, n_epochs_kl_warmup = 10, frequency = 1,
                seed = 1)
            train(trainer, n_epochs = 60, lr = 1e-2, seed = 1)
        }
        trainer
    }
})
row_of <- function(checks, name) as.list(as.data.frame(checks)[checks$check == name, ])
all_checks <- c("held-out likelihood", "train/test gap", "library bias", "library noise", predictive_checks,
    "active dimensions", "convergence", "KL weight", "batch mixing")

test_that("held-out likelihood and gap are those of the test set beside the null model", {
    trainer <- diagnosed()
    checks <- diagnose(trainer, seed = 1)
    expect_identical(checks$check, all_checks)
    dataset <- trainer@gene_dataset
    sets <- trainer@sets
    held_out <- row_of(checks, "held-out likelihood")
    null <- null_model(dataset, sets$train_set)
    expect_equal(held_out$reference, mean(null_log_likelihood(null, dataset, sets$test_set)))
    # The same cells, other draws: the estimates of eight seeds have a standard deviation of their own.
    estimates <- vapply(1:8, function(seed) marginal_ll(test_set(trainer), 50, seed = seed), 0)
    expect_lt(abs(held_out$value - mean(estimates)), 4 * sd(estimates))
    expect_identical(held_out$verdict, "ok")
    gap <- (elbo(test_set(trainer), seed = 9) - held_out$reference) -
        (elbo(train_set(trainer), seed = 9) - mean(null_log_likelihood(null, dataset, sets$train_set)))
    expect_lt(abs(row_of(checks, "train/test gap")$value - gap), 0.5)
})

test_that("a mean over cells, its difference to the null model's and the error of that are exact", {
    post <- create_posterior(diagnosed())
    scores <- withr::with_seed(1, rnorm(400, 100, 5))
    null <- withr::with_seed(2, rnorm(400, 110, 9))
    loss <- function(post, seed) mean(scores[indices(post)])
    cells <- withr::with_seed(3, sample(400, 50))
    beside <- beside_null(post, cells, null[cells], 1, loss)
    expect_equal(beside$value, mean(scores[cells]))
    expect_equal(beside$difference, mean(scores[cells] - null[cells]))
    # 20 parts: ten of three cells, ten of two.
    part <- rep_len(1:20, 50)
    expect_equal(beside$error, sd(tapply((scores - null)[cells], part, mean)) / sqrt(20))
    expect_equal(beside$error, sd((scores - null)[cells]) / sqrt(50), tolerance = 0.3)
    # As many parts as cells.
    few <- beside_null(post, cells[1:12], null[cells[1:12]], 1, loss)
    expect_equal(few$error, sd((scores - null)[cells[1:12]]) / sqrt(12))
})

test_that("a difference that may be chance is neither ok nor bad", {
    trainer <- diagnosed()
    post <- create_posterior(trainer)
    sets <- trainer@sets
    verdict <- function(scale, spread) {
        cells <- sets$test_set
        null <- as.vector(scale * marginal_ll(update_sampler_indices(post, cells), 100, seed = 2)) +
            spread * rep_len(c(-1, 1), length(cells))
        check_held_out(post, list(test = cells), list(test = null), 100, 3)$verdict
    }
    # Parts are of six cells: alternating signs cancel within them, and do not in the model's own spread.
    expect_identical(verdict(1.5, 0), "ok")
    expect_identical(verdict(1, 0), "warn")
    expect_identical(verdict(1 / 1.5, 0), "bad")
})

test_that("a trainer, its posteriors and a posterior that is told the sets say the same", {
    trainer <- diagnosed()
    checks <- diagnose(trainer, seed = 1)
    full <- create_posterior(trainer)
    expect_identical(diagnose(full, seed = 1), checks)
    told <- diagnose(full, train_indices = trainer@sets$train_set, test_indices = trainer@sets$test_set,
        history = history(trainer), seed = 1)
    expect_identical(told, checks)
    # Held-out cells are those of the data set, whichever cells the posterior is of.
    some <- diagnose(train_set(trainer), seed = 1)
    expect_identical(some[1:2, ]$value, checks[1:2, ]$value)
    expect_false(identical(some$value, checks$value))
    largest <- .Machine$integer.max
    expect_identical(diagnose(full, seed = largest), diagnose(full, seed = largest))
    state <- withr::with_seed(1, {
        diagnose(full, seed = 1)
        .Random.seed
    })
    expect_identical(state, withr::with_seed(1, .Random.seed))
})

test_that("what is not known is unknown, with the reason", {
    trainer <- diagnosed()
    fresh <- Posterior(VAE(trainer@gene_dataset, n_hidden = 8, seed = 2), trainer@gene_dataset)
    checks <- diagnose(fresh, seed = 1)
    for (name in c("held-out likelihood", "train/test gap", "convergence", "KL weight")) {
        expect_identical(row_of(checks, name)$verdict, "unknown")
        expect_true(is.na(row_of(checks, name)$value))
    }
    expect_match(row_of(checks, "held-out likelihood")$meaning, "not known which cells the model was trained on")
    # Weights that were changed since.
    copy <- clone(trainer@model)
    again <- Posterior(copy, trainer@gene_dataset)
    expect_identical(diagnose(again, seed = 1)$verdict, diagnose(trainer, seed = 1)$verdict)
    state <- state_dict(copy)
    state$px_r <- state$px_r + 1
    load_state_dict(copy, state)
    expect_match(row_of(diagnose(again, seed = 1), "train/test gap")$meaning, "weights were changed")
    # Nothing was held out.
    all_trained <- UnsupervisedTrainer(VAE(trainer@gene_dataset, n_hidden = 8, seed = 1), trainer@gene_dataset,
        train_size = 1)
    checks <- diagnose(train(all_trained, n_epochs = 1, seed = 1), seed = 1)
    expect_match(row_of(checks, "held-out likelihood")$meaning, "no cells were held out")
    expect_match(row_of(checks, "convergence")$meaning, "fewer than 5 values")
    one_batch <- GeneExpressionDataset(separable_counts()$counts)
    expect_match(row_of(diagnose(Posterior(VAE(one_batch, seed = 1), one_batch), seed = 1), "batch mixing")$meaning,
        "one batch")
})

test_that("a cell that was trained on is never held out again", {
    dataset <- separable_dataset()
    vae <- VAE(dataset, n_hidden = 8, seed = 1)
    train(UnsupervisedTrainer(vae, dataset, train_indices = 1:80, test_indices = 81:120), n_epochs = 1, seed = 1)
    train(UnsupervisedTrainer(vae, dataset, train_indices = 61:120, test_indices = 1:60), n_epochs = 1, seed = 1)
    expect_identical(table(recall_training(Posterior(vae, dataset))$set), table(rep("train_set", 120)))
})

test_that("library errors are those of the mean of q(l|x), and of what dropout leaves", {
    dataset <- separable_dataset()
    total <- colSums(as.matrix(counts(dataset)))
    post <- Posterior(VAE(dataset, n_hidden = 8, reconstruction_loss = "nb", seed = 1), dataset)
    draws <- vapply(1:400, function(seed) get_stats(post, seed = seed), numeric(120))
    errors <- rowMeans(draws) - log(total)
    checks <- diagnose(post, seed = 1)
    expect_equal(row_of(checks, "library bias")$value, mean(errors), tolerance = 0.01)
    expect_equal(row_of(checks, "library noise")$value, sd(errors), tolerance = 0.1)
    expect_equal(row_of(checks, "library noise")$reference, sqrt(mean(1 / total)))
    expect_identical(row_of(checks, "library bias")$verdict, "bad")
    expect_lt(row_of(diagnose(diagnosed(), seed = 1), "library noise")$value, 1e-6)
    expect_identical(row_of(diagnose(diagnosed(), seed = 1), "library noise")$verdict, "ok")
    zinb <- Posterior(VAE(dataset, n_hidden = 8, seed = 1), dataset)
    rates <- generate_parameters(zinb, noise = list(z = matrix(0, 120, 10), library = rep(0, 120)), seed = 1)
    errors <- log(rowSums(rates$means * (1 - plogis(rates$dropout)))) - log(total)
    expect_equal(expected_log_totals(zinb) - log(unname(total)), unname(errors), tolerance = 1e-6)
    expect_equal(expected_log_totals(zinb, block_size = 14 * 4 * 7), expected_log_totals(zinb), tolerance = 1e-6)
    expect_equal(row_of(diagnose(zinb, seed = 1), "library bias")$value, mean(errors), tolerance = 1e-6)
    # Dropout lowers what is expected, by about a half in a fresh model.
    expect_lt(mean(errors), mean(get_stats(zinb, noise = list(library = rep(0, 120)), seed = 1) - log(total)) - 0.3)
})

test_that("totals of a few counts may be off by as much as they are uncertain", {
    errors <- withr::with_seed(1, rnorm(500, sd = 0.3))
    of <- function(total) check_library(data.frame(log_total = log(total), library = log(total) + errors))[2, ]
    expect_identical(of(10)$verdict, "ok")
    expect_equal(of(10)$reference, sqrt(1 / 10))
    expect_identical(of(10000)$verdict, "warn")
    expect_identical(check_library(data.frame(log_total = 1, library = 1))$verdict, rep("unknown", 2))
})

test_that("statistics of drawn counts are those of generate(), in blocks as in one piece", {
    post <- create_posterior(diagnosed(), indices = 1:200)
    table <- predictive_statistics(post, 1)
    drawn <- generate(post, n_samples = 60, seed = 3)
    x <- t(as.matrix(counts(post@gene_dataset)[, 1:200]))
    expect_equal(table$data.mean, unname(colMeans(x)))
    expect_equal(table$data.variance, unname(colMeans(x^2) - colMeans(x)^2))
    expect_equal(table$data.zeros, unname(colMeans(x == 0)))
    # Of 600 draws a mean is uncertain by 5 %, a variance by 10 to 30 %: the means of eight.
    mean_of <- function(what, ...) {
        rowMeans(vapply(1:8, function(seed) predictive_statistics(post, seed, ...)[[what]], numeric(14)))
    }
    expect_equal(mean_of("model.mean"), unname(apply(drawn$x_new, 2, mean)), tolerance = 0.05)
    expect_equal(mean_of("model.variance"), unname(apply(drawn$x_new, 2, function(x) var(as.vector(x)))),
        tolerance = 0.15)
    expect_equal(table$model.zeros, unname(apply(drawn$x_new == 0, 2, mean)), tolerance = 0.1)
    block_size <- 14 * 5 * 30
    expect_equal(predictive_statistics(post, 1, block_size = block_size)[1:3], table[1:3])
    expect_equal(mean_of("model.mean", block_size = block_size), mean_of("model.mean"), tolerance = 0.05)
})

test_that("active dimensions and batch mixing are those of the latent means", {
    trainer <- diagnosed()
    post <- create_posterior(trainer)
    z <- latent_matrix(post)
    checks <- diagnose(trainer, seed = 1)
    expect_equal(row_of(checks, "active dimensions")$value, sum(apply(z, 2, var) > 0.01))
    mixing <- row_of(checks, "batch mixing")
    # A tenth of 400 cells.
    expect_equal(mixing$value, entropy_batch_mixing(z, batch_indices(post@gene_dataset), n_neighbors = 40,
        n_pools = Inf))
    expect_equal(mixing$reference, log(2) - 1 / 80 * 360 / 399, tolerance = 1e-3)
    # Coordinates without any batch effect reach the reference; those of two islands have no mixture at all.
    random <- withr::with_seed(1, matrix(rnorm(400 * 3), 400))
    none <- check_mixing(random, post)
    expect_equal(none$value, none$reference, tolerance = 0.01)
    expect_identical(none$verdict, "ok")
    apart <- check_mixing(random + 50 * (batch_indices(post@gene_dataset) == "a"), post)
    expect_identical(unlist(apart[c("value", "verdict")]), c(value = "0", verdict = "bad"))
    expect_identical(check_mixing(random[1:40, ], update_sampler_indices(post, 1:40 * 10))$verdict, "unknown")
    expect_identical(check_active(cbind(random[, 1], 0, 0), post)$verdict, "bad")
    expect_identical(check_active(cbind(random[, 1:2], 0), post)$verdict, "ok")
})

test_that("mixing by chance is the mean over random batches, be they two or as many as cells", {
    for (sizes in list(c(50, 50), c(90, 10), c(30, 20, 5, 3), rep(1, 60), rep(2, 40))) {
        n <- sum(sizes)
        batch <- rep(seq_along(sizes), sizes)
        k <- 7
        of_draw <- function(i) {
            cell <- sample.int(n, 1)
            f <- tabulate(batch[sample(seq_len(n)[-cell], k)]) / k
            -sum(f[f > 0] * log(f[f > 0]))
        }
        drawn <- withr::with_seed(1, vapply(1:4000, of_draw, 0))
        expect_lt(abs(mixing_by_chance(sizes, k) - mean(drawn)), 4 * sd(drawn) / sqrt(4000) + 1e-9)
    }
})

test_that("convergence is the line through the last quarter", {
    history <- function(y, kl = 1) list(history = data.frame(epoch = seq_along(y), loss = NA, kl_weight = kl,
        elbo_test_set = y))
    falling <- check_convergence(history(c(rep(200, 30), seq(110, 90, length.out = 10))))
    expect_equal(falling$value, -20)
    expect_identical(falling$verdict, "bad")
    expect_match(falling$advice, "train for longer")
    slow <- check_convergence(history(c(rep(200, 30), seq(102, 98, length.out = 10))))
    expect_equal(slow$value, -4)
    expect_identical(slow$verdict, "warn")
    expect_identical(check_convergence(history(rep(100, 40)))$verdict, "ok")
    rising <- check_convergence(history(seq(100, 200, length.out = 40)))
    expect_match(rising$advice, "overfits")
    noise <- withr::with_seed(1, check_convergence(history(100 + rnorm(40, sd = 20))))
    expect_identical(noise$verdict, "ok")
    # Dispersions that begin to learn after epoch 30 let it fall once more: only what is on one side of that counts.
    twice <- c(seq(300, 100, length.out = 20), rep(100, 10), 90, 85, rep(80, 8))
    resting <- function(y, n_iter_fixed, n_iter = 400) check_convergence(c(history(y),
        list(options = list(n_iter_fixed_dispersion = n_iter_fixed), n_iter = n_iter)))
    expect_identical(resting(twice, 0)$verdict, "bad")
    expect_equal(resting(twice, 300)[c("value", "verdict")], data.frame(value = 0, verdict = "ok"))
    expect_match(resting(twice, 300)$meaning, "over the last 4 epochs[,.]")
    # Few values since then, the last five of them the fall itself: those before.
    shorter <- resting(twice[1:36], 300, n_iter = 360)
    expect_equal(shorter[c("value", "verdict")], data.frame(value = 0, verdict = "ok"))
    expect_match(shorter$meaning, "over the last 7 epochs to epoch 30, when dispersions began to learn")
    every_fourth <- replace(rep(NA, 40), seq(4, 40, 4), twice[seq(4, 40, 4)])
    expect_match(resting(every_fourth, 300)$meaning, "fell by .* over the last 16 epochs to epoch 30, when dispersions")
    # Never learnt, or none of the trainer's business: all of it.
    for (fixed in list(400, NULL)) expect_equal(resting(twice, fixed)$value, resting(twice, 0)$value)
    # A loss whose KL term still gains weight says nothing.
    loss <- data.frame(epoch = 1:40, loss = 40:1, kl_weight = 1:40 / 400)
    expect_identical(check_convergence(list(history = loss))$verdict, "unknown")
    half <- check_kl_weight(list(history = loss, options = list(max_kl_weight = 0.1)))
    expect_identical(half[c("reference", "verdict")], data.frame(reference = 0.1, verdict = "ok"))
    expect_identical(check_kl_weight(list(history = loss))[c("value", "verdict")],
        data.frame(value = 0.1, verdict = "bad"))
    # scvi 0.6.8's warm-up over 400 epochs ends at 399 of 400.
    kl <- function(weight) check_kl_weight(list(history = data.frame(kl_weight = weight)))$verdict
    expect_identical(vapply(c(399 / 400, 0.94, 0.49), kl, ""), c("ok", "warn", "bad"))
    expect_identical(check_kl_weight(list(history = data.frame(kl_weight = 0), options = list(max_kl_weight = 0)))$
        verdict, "ok")
})

test_that("a container says of itself what its trainer does, also as a subset", {
    data <- separable_counts(n = 400)
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = data$counts),
        colData = S4Vectors::DataFrame(batch = data$batch))
    expect_silent(fit <- runSCVI(sce, batch = "batch", n_hidden = 8, n_latent = 2, n_epochs = 2, seed = 1,
        verbose = FALSE))
    checks <- diagnose(fit, seed = 1)
    expect_identical(checks, diagnose(posterior(fit), seed = 1))
    expect_false(row_of(checks, "held-out likelihood")$verdict == "unknown")
    # Without names, cells of a subset have made-up names that others had before: their totals give them away.
    subset <- fit[, 201:400]
    of_subset <- recall_training(posterior(subset))$set
    wrong <- of_subset != "other" &
        of_subset != as.character(SingleCellExperiment::int_colData(subset)$rscvi_SCVI$set)
    expect_lt(mean(wrong), 0.02)
    expect_match(row_of(diagnose(subset, seed = 1), "held-out likelihood")$meaning, "20 cells")
    # Where dispersions rested first, however it is asked.
    fit <- runSCVI(sce, batch = "batch", n_hidden = 8, n_latent = 2, n_epochs = 12, n_iter_fixed_dispersion = 18,
        frequency = 1, seed = 1, verbose = FALSE)
    since <- row_of(diagnose(fit, seed = 1), "convergence")
    expect_match(since$meaning, "over the last 4 epochs to epoch 6,")
    expect_identical(since, row_of(diagnose(posterior(fit), seed = 1), "convergence"))
    trainer <- UnsupervisedTrainer(VAE(GeneExpressionDataset(sce), n_hidden = 8, n_latent = 2, seed = 1),
        GeneExpressionDataset(sce), n_iter_fixed_dispersion = 18, frequency = 1, seed = 1)
    train(trainer, n_epochs = 24, seed = 1)
    # 18 of 72 steps are epochs 1 to 6: those since count.
    expect_match(row_of(diagnose(trainer, seed = 1), "convergence")$meaning, "over the last 4 epochs[,.]")
    # The one line. From a random start two epochs are not enough for the genes' means.
    said <- NULL
    withCallingHandlers(runSCVI(sce, batch = "batch", n_hidden = 8, n_latent = 2, n_epochs = 2, scale_start = "random",
        seed = 1, verbose = TRUE), rscvi_diagnosis = function(m) said <<- conditionMessage(m), message = function(m) {
        tryInvokeRestart("muffleMessage")
    })
    expect_match(said, "believed.*bad: .*held-out likelihood.*of 12 checks ok.*See .*diagnose")
})

test_that("drawn counts of a true model differ by chance alone, also of few cells and counts", {
    draw <- function(n, mean, size, S = 1) {
        x <- array(stats::rnbinom(n * 200 * S, mu = rep(mean, each = n), size = size), c(n, 200, S))
        list(mean = apply(x, 2, base::mean), variance = apply(x, 2, function(x) base::mean(x^2) - base::mean(x)^2),
            zeros = apply(x == 0, 2, base::mean))
    }
    post <- create_posterior(diagnosed())
    for (n in c(30, 300)) for (most in c(0.3, 5)) {
        mean <- seq(0.1, most, length.out = 200)
        table <- withr::with_seed(n, cbind(data = as.data.frame(draw(n, mean, 1)),
            model = as.data.frame(draw(n, mean, 1, S = 3))))
        attr(table, "n_cells") <- n
        rownames(table) <- paste0("gene", 1:200)
        rows <- check_predictive(table, post)
        expect_identical(rows$verdict, rep("ok", 4))
        expect_identical(rows$value[3], 0)
        # What chance gives is what is found.
        expect_equal(rows$value[1] / rows$reference[1], 1, tolerance = 0.15)
        expect_equal(rows$value[2] / rows$reference[2], 1, tolerance = 0.25)
        wrong <- table
        # Of 30 cells a single gene can be off by much.
        wrong$model.mean <- wrong$model.mean * 64
        wrong$model.variance <- wrong$model.variance * 8
        wrong$model.zeros <- wrong$model.zeros * 0.5
        expect_identical(check_predictive(wrong, post)$verdict, rep("bad", 4))
        # Genes of many counts alone, which chance hides least.
        few <- table
        few$model.mean[c(150, 200)] <- c(0, 9 * few$data.mean[200])
        row <- as.list(check_predictive(few, post)[3, ])
        expect_identical(row[c("value", "verdict")], list(value = 2, verdict = "warn"))
        expect_match(row$meaning, "^2 of [12][0-9]+ genes have .*: gene150 \\(1/[0-9]+\\), gene200 \\(x 9\\)\\.$")
    }
    attr(table, "n_cells") <- 29
    expect_identical(check_predictive(table, post)$verdict, rep("unknown", 4))
})

test_that("what cannot be computed is unknown with the error's first sentence, and no error", {
    rows <- checked(c("a", "b"), abort_rscvi(c("This is {.arg wrong}.", i = "Mend it.")))
    expect_identical(rows$meaning, rep("Cannot be told: This is `wrong`.", 2))
    expect_identical(checked("a", needed(attempt(stop("no\nway"))))$meaning, "Cannot be told: no.")
    # Weights that overflow.
    dataset <- separable_dataset()
    vae <- VAE(dataset, n_hidden = 8, n_latent = 2, seed = 1)
    load_state_dict(vae, lapply(state_dict(vae), function(w) w * 1e30))
    checks <- diagnose(Posterior(vae, dataset), train_indices = 1:60, test_indices = 61:120, seed = 1)
    expect_identical(checks$check, all_checks)
    expect_true(all(checks$verdict[c(1:2, 5:8)] %in% c("bad", "unknown")))
    expect_no_error(capture.output(print(checks)))
    expect_error(plot(checks), "nothing to plot", class = "rscvi_error")
})

test_that("cells without counts, one batch, few cells and many batches are taken as they are", {
    x <- cbind(separable_counts()$counts, matrix(0, 14, 30))
    dataset <- suppressWarnings(GeneExpressionDataset(x, empty_cells = "keep", batch = rep_len(1:50, 150)))
    for (library in c("latent", "observed")) {
        vae <- VAE(dataset, n_hidden = 8, n_latent = 2, library = library, reconstruction_loss = "nb", seed = 1)
        trainer <- train(UnsupervisedTrainer(vae, dataset, train_size = 0.8), n_epochs = 1, seed = 1)
        checks <- diagnose(trainer, n_mc_samples = 5, seed = 1)
        known <- c("held-out likelihood", "train/test gap", "library bias", "library noise", "predictive zeros",
            "predictive mean", "batch mixing")
        expect_true(all(is.finite(checks$value[checks$check %in% known])))
        expect_true(all(checks$verdict[checks$check %in% known] != "unknown"))
    }
    few <- diagnose(create_posterior(trainer, indices = c(1:3, 121)), n_mc_samples = 5, seed = 1)
    expect_identical(few$verdict[few$check %in% c("predictive mean", "batch mixing")], rep("unknown", 2))
    one <- diagnose(create_posterior(trainer, indices = 121), n_mc_samples = 5, seed = 1)
    expect_identical(one$verdict[one$check %in% c("library bias", "active dimensions")], rep("unknown", 2))
    expect_output(print(one), "unknown")
    expect_no_error(ggplot2::ggplot_build(plot(one)))
})

test_that("other models are diagnosed, too", {
    dataset <- separable_dataset()
    for (vae in list(LDVAE(dataset, n_latent = 2, seed = 1), VAEC(dataset, n_hidden = 8, n_latent = 2, seed = 1),
        SCANVI(dataset, n_hidden = 8, n_latent = 2, seed = 1),
        VAE(dataset, n_hidden = 8, n_latent = 2, latent_distribution = "ln", seed = 1),
        VAE(dataset, n_hidden = 8, n_latent = 2, reconstruction_loss = "poisson", seed = 1))) {
        trainer <- train(UnsupervisedTrainer(vae, dataset, train_size = 0.8, frequency = 1), n_epochs = 6, seed = 1)
        checks <- diagnose(trainer, n_mc_samples = 5, seed = 1)
        expect_identical(checks$check, all_checks)
        # Five draws a cell of a model like this leave a standard deviation of 6 %.
        estimates <- vapply(1:10, function(seed) marginal_ll(test_set(trainer), 5, seed = seed), 0)
        found <- row_of(checks, "held-out likelihood")$value
        expect_lt(abs(found - mean(estimates)), 4 * stats::sd(estimates))
        expect_identical(row_of(checks, "active dimensions")$verdict == "unknown",
            identical(model(trainer)@options$latent_distribution, "ln"))
    }
    classifier <- Classifier(dataset, seed = 1)
    expect_error(diagnose(Posterior(classifier, dataset)), class = "rscvi_error")
})

test_that("it prints, is a data.frame, and draws what it looked at", {
    checks <- diagnose(diagnosed(), seed = 1)
    printed <- paste(capture.output(print(checks)), collapse = "\n")
    expect_match(printed, "Is this fit to be believed\\?.*held-out likelihood +ok .*against")
    for (name in all_checks) expect_match(printed, name, fixed = TRUE)
    expect_identical(class(as.data.frame(checks)), "data.frame")
    expect_identical(names(checks), c("check", "value", "reference", "verdict", "meaning", "advice"))
    expect_true(all(nzchar(checks$meaning)))
    expect_identical(checks$advice[checks$verdict == "ok"], rep("", sum(checks$verdict == "ok")))
    picture <- plot(checks)
    expect_s3_class(picture, "ggplot")
    zeros <- picture$data[grepl("zeros", picture$data$panel), ]
    expect_equal(zeros$x, attr(checks, "pictured")$genes$data.zeros)
    expect_equal(zeros$y, attr(checks, "pictured")$genes$model.zeros)
    file <- withr::local_tempfile(fileext = ".png")
    expect_no_warning(ggplot2::ggsave(file, picture, width = 8, height = 5))
    expect_error(plot(checks[1:2, 1:3]), class = "rscvi_error")
})

test_that("what does not fit is refused, naming the argument", {
    post <- create_posterior(diagnosed())
    expect_error(diagnose(post, n_cells = 2), "n_cells", class = "rscvi_invalid_argument")
    expect_error(diagnose(post, test_indices = 1000), "test_indices", class = "rscvi_invalid_argument")
    expect_error(diagnose(post, history = 3), "history", class = "rscvi_invalid_argument")
    expect_error(diagnose(scvi_ensemble(list(post))), "posteriors\\(\\)", class = "rscvi_invalid_argument")
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = separable_counts()$counts))
    expect_error(diagnose(sce), "`x` holds no fit", class = "rscvi_no_fit")
    expect_error(diagnose(matrix(1)), "SingleCellExperiment", class = "rscvi_invalid_argument")
    expect_error(diagnose(update_sampler_indices(post, integer(0))), class = "rscvi_empty_posterior")
})
