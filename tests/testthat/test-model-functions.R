# What a model answers for cells of one's own, against closed forms and R's own distributions.

x <- withr::with_seed(3, matrix(stats::rnbinom(9 * 12, mu = 4, size = 1), 9))
batch <- rep(1:3, 3)
label <- c(1, 1, 2, 2, 1, 2, 1, 2, 1)
draws <- withr::with_seed(4, list(z = matrix(stats::rnorm(9 * 3), 9), library = matrix(stats::rnorm(9), 9)))
make <- function(..., seed = 1) {
    options <- utils::modifyList(list(n_input = 12, n_batch = 3, n_labels = 2, n_hidden = 8, n_latent = 3, seed = seed),
        list(...))
    model <- do.call(VAE, options)
    # Running statistics of batch normalisation that are not the neutral ones.
    fit_minibatches(model, list(cells(), cells()), lr = 0.05, seed = 1)
    model
}
cells <- function(...) {
    utils::modifyList(list(x = x, local_l_mean = 3.5, local_l_var = 0.3, batch_index = batch, y = label), list(...))
}
infer <- function(model, ..., noise = draws) inference(model, x, batch, label, noise = noise, ...)
losses <- function(model, ..., noise = draws) do.call(loss_terms, c(list(model), cells(...), list(noise = noise)))

# A result of one number a gene, or a matrix, as cells x genes.
by_cell <- function(value) if (is.matrix(value)) value else matrix(value, 9, 12, byrow = TRUE)

test_that("inference's parts are what their definitions say, with the given noise", {
    for (latent_distribution in c("normal", "ln")) {
        out <- infer(make(latent_distribution = latent_distribution))
        expect_identical(names(out), c("px_scale", "px_rate", "px_r", "px_dropout", "z", "qz_m", "qz_v", "library",
            "ql_m", "ql_v"))
        gaussian <- out$qz_m + sqrt(out$qz_v) * draws$z
        z <- if (latent_distribution == "ln") exp(gaussian) / rowSums(exp(gaussian)) else gaussian
        expect_equal(out$z, z, tolerance = 1e-6)
        expect_equal(out$library, out$ql_m + sqrt(out$ql_v) * draws$library, tolerance = 1e-6)
        expect_equal(rowSums(out$px_scale), rep(1, 9), tolerance = 1e-6)
        expect_equal(out$px_rate, c(exp(out$library)) * out$px_scale, tolerance = 1e-6)
    }
})

test_that("the dispersion is that of the gene, of its batch, of its label, or of the cell", {
    px_r <- function(...) {
        model <- make(...)
        list(out = infer(model)$px_r, weights = state_dict(model)$px_r)
    }
    gene <- px_r()
    expect_equal(gene$out, exp(gene$weights), tolerance = 1e-6)
    gene_batch <- px_r(dispersion = "gene-batch")
    expect_equal(gene_batch$out, exp(t(gene_batch$weights)[batch, ]), tolerance = 1e-6)
    gene_label <- px_r(dispersion = "gene-label")
    expect_equal(gene_label$out, exp(t(gene_label$weights)[label, ]), tolerance = 1e-6)
    model <- make(dispersion = "gene-cell")
    state <- state_dict(model)
    # With the weights of its layer at 0 the bias is left.
    state[["decoder.px_r_decoder.weight"]][] <- 0
    load_state_dict(model, state)
    expect_equal(infer(model)$px_r, exp(by_cell(state[["decoder.px_r_decoder.bias"]])), tolerance = 1e-6)
})

test_that("reconst_loss is -log of R's dpois, dnbinom and of their zero-inflated mixture", {
    for (dispersion in c("gene", "gene-batch", "gene-label", "gene-cell")) {
        for (loss in c("poisson", "nb", "zinb")) {
            model <- make(reconstruction_loss = loss, dispersion = dispersion)
            out <- infer(model)
            theta <- by_cell(out$px_r)
            p <- switch(loss,
                poisson = stats::dpois(x, out$px_rate),
                nb = stats::dnbinom(x, size = theta, mu = out$px_rate),
                zinb = {
                    dropped <- stats::plogis(out$px_dropout)
                    dropped * (x == 0) + (1 - dropped) * stats::dnbinom(x, size = theta, mu = out$px_rate)
                }
            )
            expect_equal(losses(model)$reconst_loss, -rowSums(log(p)), tolerance = 1e-5, info = paste(loss, dispersion))
        }
    }
})

test_that("the KL terms have their closed forms, and a prior counts cell by cell", {
    model <- make()
    out <- infer(model)
    terms <- losses(model)
    expect_identical(names(terms), c("reconst_loss", "kl_z", "kl_l"))
    expect_equal(terms$kl_z, 0.5 * rowSums(out$qz_v + out$qz_m^2 - 1 - log(out$qz_v)), tolerance = 1e-5)
    kl_l <- function(mean, var) {
        c(0.5 * (log(var / out$ql_v) + (out$ql_v + (out$ql_m - mean)^2) / var - 1))
    }
    expect_equal(terms$kl_l, kl_l(3.5, 0.3), tolerance = 1e-5)
    means <- seq(2, 4, length.out = 9)
    vars <- seq(0.1, 2, length.out = 9)
    expect_equal(losses(model, local_l_mean = means, local_l_var = vars)$kl_l, kl_l(means, vars), tolerance = 1e-5)
    # The prior is q itself: nothing is left.
    expect_equal(losses(model, local_l_mean = c(out$ql_m), local_l_var = c(out$ql_v))$kl_l, rep(0, 9), tolerance = 1e-6)
    # "ln": the divergence is that of the Gaussian before the softmax.
    model <- make(latent_distribution = "ln")
    out <- infer(model)
    expect_equal(losses(model)$kl_z, 0.5 * rowSums(out$qz_v + out$qz_m^2 - 1 - log(out$qz_v)), tolerance = 1e-5)
})

test_that("cells are answered for one by one: a part is that part of the whole", {
    model <- make(dispersion = "gene-batch")
    whole <- infer(model)
    some <- c(7, 2, 2)
    part <- inference(model, x[some, ], batch[some], noise = lapply(draws, function(e) e[some, , drop = FALSE]))
    for (name in names(whole)) expect_equal(part[[name]], whole[[name]][some, , drop = FALSE], tolerance = 1e-6)
    terms <- loss_terms(model, x[some, ], 3.5, 0.3, batch[some], noise = lapply(draws, function(e) e[some, ]))
    expect_equal(terms, losses(model)[some, ], tolerance = 1e-5, ignore_attr = TRUE)
    # One cell is a matrix of one row.
    one <- inference(model, x[4, , drop = FALSE], batch[4], noise = lapply(draws, function(e) e[4, , drop = FALSE]))
    expect_equal(one$px_rate, whole$px_rate[4, , drop = FALSE], tolerance = 1e-6)
    named <- x
    rownames(named) <- paste0("cell", 1:9)
    expect_identical(rownames(loss_terms(model, named, 3.5, 0.3, batch, seed = 1)), rownames(named))
})

test_that("several draws are that many single ones", {
    noise <- withr::with_seed(5, {
        list(z = array(stats::rnorm(4 * 9 * 3), c(4, 9, 3)), library = matrix(stats::rnorm(36), 4))
    })
    for (dispersion in c("gene", "gene-batch", "gene-cell")) {
        model <- make(dispersion = dispersion)
        many <- infer(model, n_samples = 4, noise = noise)
        for (s in 1:4) {
            one <- infer(model, noise = list(z = noise$z[s, , ], library = noise$library[s, ]))
            drawn <- c("z", "library", "px_scale", "px_rate", "px_dropout", if (dispersion == "gene-cell") "px_r")
            for (name in drawn) {
                expect_equal(array(many[[name]][s, , ], dim(one[[name]])), one[[name]], tolerance = 1e-6)
            }
            for (name in setdiff(names(one), drawn)) expect_equal(many[[name]], one[[name]], tolerance = 1e-6)
        }
    }
})

test_that("counts may be sparse, a data.frame or integers", {
    model <- make()
    wanted <- infer(model)
    kinds <- list(Matrix::Matrix(x, sparse = TRUE), as.data.frame(x), matrix(as.integer(x), 9))
    for (kind in kinds) expect_identical(inference(model, kind, batch, label, noise = draws), wanted)
})

test_that("batches and labels are factors by name, or codes", {
    dataset <- GeneExpressionDataset(t(x), batch = c("b1", "b2", "b3")[batch], labels = c("T", "B")[label])
    model <- VAE(dataset, n_hidden = 8, n_latent = 3, dispersion = "gene-label", seed = 1)
    expect_identical(model@label_levels, c("B", "T"))
    wanted <- inference(model, x, batch, c(2, 1)[label], noise = draws)
    # The order of a factor's own levels plays no part: names do, and levels that do not occur are welcome.
    given <- factor(c("b1", "b2", "b3")[batch], levels = c("b3", "b9", "b2", "b1"))
    types <- factor(c("T", "B")[label], levels = c("T", "B"))
    expect_identical(inference(model, x, given, types, noise = draws), wanted)
    expect_identical(inference(model, x, as.character(given), as.character(types), noise = draws), wanted)
    expect_identical(inference(model, x, matrix(batch), matrix(c(2, 1)[label]), noise = draws), wanted)
    # A model that was built from numbers goes by the factor's codes.
    numbers <- load_state_dict(VAE(12, 3, 2, n_hidden = 8, n_latent = 3, dispersion = "gene-label"), state_dict(model))
    expect_identical(inference(numbers, x, factor(batch), factor(c(2, 1)[label]), noise = draws), wanted)
    expect_false(identical(inference(numbers, x, factor(batch), factor(label), noise = draws)$px_r, wanted$px_r))
})

test_that("transform_batch decodes as that batch, by name or code, and leaves the encoders alone", {
    dataset <- GeneExpressionDataset(t(x), batch = c("b1", "b2", "b3")[batch])
    for (dispersion in c("gene", "gene-batch")) {
        model <- VAE(dataset, n_hidden = 8, n_latent = 3, dispersion = dispersion, seed = 1)
        as_second <- inference(model, x, rep(2, 9), noise = draws)
        for (second in list(2, "b2", factor("b2", levels = c("b2", "b1")))) {
            expect_identical(inference(model, x, batch, transform_batch = second, noise = draws), as_second)
        }
        # No batch of their own is needed then.
        expect_identical(inference(model, x, transform_batch = 2, noise = draws), as_second)
        own <- inference(model, x, batch, noise = draws)
        expect_identical(own[c("z", "qz_m", "qz_v", "library")], as_second[c("z", "qz_m", "qz_v", "library")])
        is_second <- batch == 2
        expect_equal(own$px_rate[is_second, ], as_second$px_rate[is_second, ], tolerance = 1e-6)
        expect_gt(max(abs(own$px_scale[!is_second, ] - as_second$px_scale[!is_second, ])), 1e-3)
    }
})

test_that("a model without batches takes none, or any; with one of each nothing need be said", {
    model <- VAE(12, n_hidden = 8, n_latent = 3, seed = 1)
    expect_identical(inference(model, x, noise = draws), inference(model, x, c(5, 1:8), noise = draws))
    expect_error(inference(model, x, transform_batch = 1), "`transform_batch`.*does not use batches",
        class = "rscvi_invalid_argument")
    one <- VAE(12, n_batch = 1, n_hidden = 8, n_latent = 3, dispersion = "gene-batch", seed = 1)
    expect_identical(inference(one, x, noise = draws), inference(one, x, rep(1, 9), noise = draws))
    expect_error(inference(one, x, batch), "`batch_index`.*from 1 to 1", class = "rscvi_invalid_argument")
    expect_error(inference(one, x, transform_batch = 1), "`transform_batch`", class = "rscvi_invalid_argument")
    one <- VAE(12, n_labels = 1, n_hidden = 8, n_latent = 3, dispersion = "gene-label", seed = 1)
    expect_identical(inference(one, x, noise = draws), inference(one, x, y = rep(1, 9), noise = draws))
    expect_error(inference(one, x, y = label), "`y`.*from 1 to 1", class = "rscvi_invalid_argument")
})

test_that("what does not fit is refused by name", {
    model <- make(dispersion = "gene-label")
    answer <- infer(model)
    refuse <- function(message, ...) {
        arguments <- utils::modifyList(list(model = model, x = x, batch_index = batch, y = label), list(...))
        expect_error(do.call(inference, arguments), message, class = "rscvi_invalid_argument")
    }
    refuse("`model`", model = 1)
    refuse("`x`.*12 genes, not 12 x 9.*t\\(x\\)", x = t(x))
    refuse("`x`.*12 genes, not 9 x 11", x = x[, -1])
    refuse("`x`.*12 genes, not 0 x 12", x = x[0, ])
    refuse("`x`.*numeric matrix", x = 1:12)
    refuse("`x`.*numeric matrix", x = matrix("1", 9, 12))
    for (bad in c(-1, NA, NaN, Inf)) refuse("`x`.*missing, infinite or negative", x = replace(x, 5, bad))
    refuse("`batch_index`.*from 1 to 3; found 4", batch_index = rep(4, 9))
    refuse("`batch_index`.*found 0", batch_index = batch - 1)
    refuse("`batch_index`.*found 1.5", batch_index = batch + 0.5)
    refuse("`batch_index`.*one element a cell \\(9\\), not 8", batch_index = batch[-1])
    refuse("`batch_index`.*names.*codes", batch_index = as.character(batch))
    expect_error(inference(model, x, y = label), "`batch_index` is needed.*3 batches", class = "rscvi_invalid_argument")
    refuse("`y`.*from 1 to 2; found 3", y = label + 1)
    expect_error(inference(model, x, batch), "`y` is needed", class = "rscvi_invalid_argument")
    refuse("`n_samples`.*0", n_samples = 0)
    refuse("`transform_batch`.*from 1 to 3; found 4", transform_batch = 4)
    refuse("`transform_batch`.*found 0", transform_batch = 0)
    refuse("`transform_batch`.*\"b1\"", transform_batch = "b1")
    refuse("`transform_batch`.*one batch", transform_batch = 1:2)
    refuse("`seed`.*0.5", seed = 0.5)
    refuse("`noise`", noise = 1)
    refuse("`noise`", noise = list(eps = draws$z))
    refuse("`noise\\$z`.*9 x 3 numbers, not 3 x 9", noise = list(z = t(draws$z)))
    refuse("`noise\\$z`.*2 x 9 x 3 numbers, not 9 x 3", n_samples = 2, noise = draws["z"])
    refuse("`noise\\$library`.*9 x 1 numbers, not 8", noise = list(library = 1:8))
    refuse("`noise\\$z`", noise = list(z = replace(draws$z, 1, NA)))

    refuse <- function(message, ...) expect_error(losses(model, ...), message, class = "rscvi_invalid_argument")
    refuse("`local_l_mean`.*\\(9\\).*length 2", local_l_mean = 1:2)
    refuse("`local_l_mean`.*NA", local_l_mean = NA_real_)
    refuse("`local_l_var`.*positive.*0", local_l_var = 0)
    named <- VAE(GeneExpressionDataset(t(x), batch = c("b1", "b2", "b3")[batch]), seed = 1)
    expect_error(inference(named, x, rep("b4", 9)), "`batch_index`.*does not know.*\"b4\"",
        class = "rscvi_invalid_argument")
    expect_error(inference(named, x, batch, transform_batch = "b4"), "\"b4\".*\"b1\", \"b2\", and \"b3\"",
        class = "rscvi_invalid_argument")
    # And the model is as it was.
    expect_identical(infer(model), answer)
})

test_that("fit_minibatches takes a step a minibatch, moves no weight by more than lr, and lowers the loss", {
    model <- make()
    before <- state_dict(model)
    once <- fit_minibatches(model, list(cells()), lr = 1e-3, weight_decay = 0, seed = 1)
    expect_length(once, 1)
    # Adam's first step is lr * g / (|g| + eps).
    trained <- grep("running|tracked", names(before), invert = TRUE, value = TRUE)
    for (name in trained) {
        expect_lt(max(abs(state_dict(model)[[name]] - before[[name]])), 1e-3 * (1 + 1e-3))
    }
    expect_identical(state_dict(model)[["decoder.px_r_decoder.bias"]], before[["decoder.px_r_decoder.bias"]])
    tracked <- grep("tracked", names(before), value = TRUE)
    expect_true(all(mapply(function(a, b) a == b + 1, state_dict(model)[tracked], before[tracked])))
    # The same seed gives the same steps.
    again <- load_state_dict(make(), before)
    expect_identical(fit_minibatches(again, list(cells()), lr = 1e-3, weight_decay = 0, seed = 1), once)
    expect_identical(state_dict(again), state_dict(model))
    fit_minibatches(again, list(cells()), seed = 2)
    many <- fit_minibatches(model, rep(list(cells()), 60), lr = 1e-2, seed = 3)
    expect_length(many, 60)
    expect_lt(mean(utils::tail(many, 10)), 0.8 * many[1])
})

test_that("fit_minibatches weighs the KL term, and a minibatch may bring its own noise", {
    at_start <- function(kl_weight, noise = draws) {
        model <- make(dropout_rate = 0)
        fit_minibatches(model, list(c(cells(), list(noise = noise))), kl_weight = kl_weight, seed = 1)
    }
    l0 <- at_start(0)
    l1 <- at_start(1)
    expect_gt(l1, l0)
    expect_equal(at_start(0.25), l0 + 0.25 * (l1 - l0), tolerance = 1e-5)
    expect_false(isTRUE(all.equal(at_start(1, noise = NULL), l1)))
})

test_that("fit_minibatches names the minibatch that it cannot use, before it uses any", {
    model <- make()
    before <- state_dict(model)
    refuse <- function(minibatches, message, ..., parent = NULL) {
        error <- expect_error(fit_minibatches(model, minibatches, ...), message, class = "rscvi_invalid_argument")
        if (!is.null(parent)) expect_match(conditionMessage(error$parent), parent)
        expect_identical(state_dict(model), before)
    }
    good <- cells()
    refuse(list(), "`minibatches`")
    refuse(good, "`minibatches`")
    refuse(list(good, cells(x = -x)), "Minibatch 2", parent = "negative")
    refuse(list(good, good, cells(y = 9)), "Minibatch 3", parent = "`y`")
    refuse(list(c(good, list(weight = 1))), "Minibatch 1.*weight")
    refuse(list(good[c("x", "batch_index", "y")]), "Minibatch 1", parent = "local_l_mean.*NULL")
    refuse(list(cells(x = x[1, , drop = FALSE], batch_index = 1, y = 1)), "Minibatch 1.*one cell")
    refuse(list(c(good, list(noise = list(z = 1:3)))), "Minibatch 1", parent = "noise")
    refuse(list(good), "`lr`.*0", lr = 0)
    refuse(list(good), "`lr`.*-1", lr = -1)
    refuse(list(good), "`eps`", eps = 0)
    refuse(list(good), "`kl_weight`", kl_weight = -1)
    refuse(list(good), "`weight_decay`", weight_decay = -1)
    expect_true(is.finite(fit_minibatches(model, list(good))))
})

test_that("log_nb and log_zinb are R's dnbinom and the mixture by hand", {
    grid <- expand.grid(x = c(0, 1, 2, 17, 400, 1e5), mu = c(0.01, 0.7, 12, 3000), theta = c(0.05, 1, 8.5, 1000),
        pi = c(-6, 0, 3))
    nb <- stats::dnbinom(grid$x, size = grid$theta, mu = grid$mu, log = TRUE)
    # The formula's epsilon of 1e-8 in the logarithms is worth x * 1e-8 / mu.
    tolerance <- 1e-7 + grid$x * 1e-8 / grid$mu + grid$theta * 1e-8
    expect_true(all(abs(log_nb(grid$x, grid$mu, grid$theta) - nb) <= tolerance + 1e-10 * abs(nb)))
    dropped <- stats::plogis(grid$pi)
    zinb <- ifelse(grid$x == 0, log(dropped + (1 - dropped) * exp(nb)), stats::plogis(-grid$pi, log.p = TRUE) + nb)
    expect_true(all(abs(log_zinb(grid$x, grid$mu, grid$theta, grid$pi) - zinb) <= tolerance + 1e-10 * abs(zinb)))
    # A very large inverse dispersion is the Poisson.
    expect_equal(log_nb(0:30, 7, 1e9), stats::dpois(0:30, 7, log = TRUE), tolerance = 1e-6)
    # Probabilities sum to 1.
    expect_equal(sum(exp(log_nb(0:5000, 20, 0.7))), 1, tolerance = 1e-7)
    expect_equal(sum(exp(log_zinb(0:5000, 20, 0.7, 1.2))), 1, tolerance = 1e-7)
})

test_that("log_nb and log_zinb recycle, take nothing for nothing, and refuse what is no parameter", {
    expect_equal(log_nb(0:3, 2, 1:2), c(log_nb(0, 2, 1), log_nb(1, 2, 2), log_nb(2, 2, 1), log_nb(3, 2, 2)))
    expect_identical(log_nb(numeric(0), 1, 1), numeric(0))
    expect_identical(log_zinb(1, 1, 1, numeric(0)), numeric(0))
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(log_nb(-1, 1, 1), "`x`.*-1")
    refuse(log_nb(1, -0.5, 1), "`mu`.*-0.5")
    refuse(log_nb(1, 1, 0), "`theta`.*positive.*0")
    refuse(log_nb(1, NA_real_, 1), "`mu`.*NA")
    refuse(log_zinb(1, 1, 1, "a"), "`pi`.*\"a\"")
})
