# Options beyond scvi 0.6.8 that decide where a model starts, and how its library and hidden units are made.

# ln theta by moments, from the formula on the help page of VAE().
moments_by_hand <- function(counts) {
    x <- t(as.matrix(counts))
    mu <- outer(rowSums(x), colSums(x) / sum(x))
    theta <- colSums(mu^2) / colSums((x - mu)^2 - x)
    unname(pmin(pmax(log(ifelse(theta > 0, theta, Inf)), -7), 5))
}

makers <- list(VAE = VAE, LDVAE = LDVAE, SCANVI = SCANVI, VAEC = VAEC)

test_that("dispersions start at moment estimates, and nothing else moves", {
    dataset <- small_dataset()
    for (make in makers) {
        plain <- state_dict(make(dataset, n_hidden = 8, n_latent = 3, seed = 1))
        started <- state_dict(make(dataset, n_hidden = 8, n_latent = 3, dispersion_start = "moments", seed = 1))
        expect_equal(started$px_r, moments_by_hand(counts(dataset)), tolerance = 1e-5)
        expect_identical(started[names(started) != "px_r"], plain[names(plain) != "px_r"])
    }
    by_batch <- state_dict(small_model(dataset, dispersion = "gene-batch", dispersion_start = "moments"))$px_r
    for (b in 1:2) {
        cells <- as.integer(batch_indices(dataset)) == b
        expect_equal(by_batch[, b], moments_by_hand(counts(dataset)[, cells]), tolerance = 1e-4)
    }
    by_label <- state_dict(small_model(dataset, dispersion = "gene-label", dispersion_start = "moments"))$px_r
    for (k in 1:2) {
        cells <- as.integer(labels(dataset)) == k
        expect_equal(by_label[, k], moments_by_hand(counts(dataset)[, cells]), tolerance = 1e-4)
    }
})

test_that("dispersions of one are exactly that, with or without data, and nothing else moves", {
    for (size in list(small_dataset(), 12)) {
        for (dispersion in c("gene", "gene-batch")) {
            plain <- state_dict(VAE(size, n_batch = 2, n_hidden = 8, n_latent = 3, dispersion = dispersion, seed = 1))
            started <- state_dict(VAE(size, n_batch = 2, n_hidden = 8, n_latent = 3, dispersion = dispersion,
                dispersion_start = "one", seed = 1))
            expect_true(all(started$px_r == 0))
            expect_identical(dim(started$px_r), dim(plain$px_r))
            expect_identical(started[names(started) != "px_r"], plain[names(plain) != "px_r"])
        }
    }
    for (make in makers) {
        started <- state_dict(make(small_dataset(), n_hidden = 8, n_latent = 3, dispersion_start = "one", seed = 1))
        expect_identical(as.vector(started$px_r), rep(0, 12))
    }
})

test_that("shares of the genes start at those of the data, and nothing else moves", {
    dataset <- small_dataset()
    name <- "decoder.px_scale_decoder.0.bias"
    for (make in list(VAE, SCANVI, VAEC)) {
        plain <- state_dict(make(dataset, n_hidden = 8, n_latent = 3, seed = 1))
        started <- state_dict(make(dataset, n_hidden = 8, n_latent = 3, scale_start = "shares", seed = 1))
        total <- rowSums(as.matrix(counts(dataset)))
        expect_equal(exp(started[[name]]) / sum(exp(started[[name]])), unname(total / sum(total)), tolerance = 1e-5)
        expect_equal(mean(started[[name]]), 0, tolerance = 1e-6)
        expect_identical(started[names(started) != name], plain[names(plain) != name])
    }
    # A gene without counts has that of half a count.
    x <- as.matrix(counts(dataset))
    x[2, ] <- 0
    bias <- state_dict(VAE(GeneExpressionDataset(x), n_hidden = 8, n_latent = 3, scale_start = "shares"))[[name]]
    expect_equal(exp(bias[2] - bias[1]), 0.5 / sum(x[1, ]), tolerance = 1e-5)
})

test_that("the mean of a gene of rare large counts is found from its share", {
    x <- withr::with_seed(1, matrix(stats::rpois(200 * 30, 5), 30, dimnames = list(paste0("g", 1:30), NULL)))
    x[1, ] <- withr::with_seed(6, stats::rnbinom(200, mu = 3, size = 0.01))
    dataset <- GeneExpressionDataset(x)
    error <- function(scale_start) {
        model <- VAE(dataset, n_hidden = 16, n_latent = 2, reconstruction_loss = "nb", library = "observed",
            dispersion_start = "moments", scale_start = scale_start, seed = 1)
        train(UnsupervisedTrainer(model, dataset, lr_dispersion = 0.01, seed = 1), n_epochs = 100, seed = 1)
        abs(log2(mean(generate_parameters(Posterior(model, dataset), seed = 1)$means[, 1]) / mean(x[1, ])))
    }
    # .09 and 1.26.
    expect_lt(error("shares"), 0.5)
    expect_gt(error("random"), 0.75)
})

test_that("the library's encoder starts at the prior", {
    dataset <- small_dataset()
    bias <- function(model, part) state_dict(model)[[paste0("l_encoder.", part, "_encoder.bias")]]
    latent <- small_model(dataset, library_start = "prior")
    expect_equal(bias(latent, "mean"), mean(local_means(dataset)), tolerance = 1e-6)
    expect_equal(bias(latent, "var"), log(mean(local_vars(dataset))), tolerance = 1e-6)
    residual <- small_model(dataset, library = "residual", library_start = "prior")
    expect_identical(bias(residual, "mean"), 0)
    expect_equal(bias(residual, "var"), log(mean(local_vars(dataset))), tolerance = 1e-6)
})

test_that("a residual library is encoded as the log total at the start, and as more after training", {
    dataset <- small_dataset()
    model <- small_model(dataset, library = "residual")
    post <- Posterior(model, dataset)
    zero <- list(library = numeric(60))
    observed <- log(Matrix::colSums(counts(dataset)))
    expect_equal(unname(get_stats(post, noise = zero)), unname(observed), tolerance = 1e-6)
    expect_output(show(model), "encoded as observed plus a residual")
    train(UnsupervisedTrainer(model, dataset), n_epochs = 20, lr = 0.01, seed = 1)
    moved <- max(abs(get_stats(post, noise = zero) - observed))
    expect_gt(moved, 1e-3)
    expect_lt(moved, 2)
    expect_true(is.finite(marginal_ll(post, n_mc_samples = 5, seed = 1)))
})

test_that("with layer normalisation a cell is encoded alike whatever the others, without running statistics", {
    dataset <- small_dataset()
    model <- small_model(dataset, normalisation = "layer")
    expect_false(any(grepl("running", names(state_dict(model)))))
    expect_output(show(model), "layer norm")
    train(UnsupervisedTrainer(model, dataset), n_epochs = 3, seed = 1)
    all <- latent_matrix(Posterior(model, dataset))
    expect_equal(latent_matrix(Posterior(model, dataset, indices = 7)), all[7, , drop = FALSE], tolerance = 1e-5)
    # By hand: linear, layer norm, ReLU, linear.
    w <- state_dict(model)
    layer <- function(name) w[[paste0("z_encoder.encoder.fc_layers.Layer 0.", name)]]
    h <- log1p(t(as.matrix(counts(dataset)))) %*% t(layer("0.weight")) + rep(layer("0.bias"), each = 60)
    centred <- h - rowMeans(h)
    h <- centred / sqrt(rowMeans(centred^2) + 1e-5)
    h <- h * rep(layer("1.weight"), each = 60) + rep(layer("1.bias"), each = 60)
    z <- pmax(h, 0) %*% t(w[["z_encoder.mean_encoder.weight"]]) + rep(w[["z_encoder.mean_encoder.bias"]], each = 60)
    expect_equal(unname(all), unname(z), tolerance = 1e-4)
})

test_that("the options are refused where they cannot work, by name", {
    dataset <- small_dataset()
    refuse <- function(message, ...) expect_error(VAE(...), message, class = "rscvi_invalid_argument")
    refuse("`dispersion_start` must be", dataset, dispersion_start = "random")
    refuse("`library_start` must be", dataset, library_start = 1)
    refuse("`scale_start` must be", dataset, scale_start = "zero")
    refuse("`scale_start` is \"shares\", but `n_input` is a number", 12, scale_start = "shares")
    refuse("`normalisation` must be", dataset, normalisation = "group")
    refuse("`library` must be", dataset, library = "known")
    refuse("`dispersion_start` is \"moments\", but `n_input` is a number", 12, dispersion_start = "moments")
    refuse("`library_start` is \"prior\", but `n_input` is a number", 12, library_start = "prior")
    refuse("\"moments\".*gene-cell", dataset, dispersion = "gene-cell", dispersion_start = "moments")
    refuse("\"one\".*gene-cell", 12, dispersion = "gene-cell", dispersion_start = "one")
    refuse("no\\s+encoder", dataset, library = "observed", library_start = "prior")
    refuse("`n_batch` is 1, but the data set has 2 batches", dataset, n_batch = 1, dispersion = "gene-batch",
        dispersion_start = "moments")
    refuse("`n_labels` is 1, but the data set has 2 labels", dataset, n_labels = 1, dispersion = "gene-label",
        dispersion_start = "moments")
})

test_that("models with these options are saved, loaded, cloned and started from", {
    dataset <- small_dataset()
    for (start in c("moments", "one")) {
        library <- if (start == "one") "latent" else "residual"
        model <- small_model(dataset, library = library, dispersion_start = start, library_start = "prior",
            scale_start = "shares", normalisation = "layer")
        # Where they started is not where they are.
        model <- load_state_dict(model, utils::modifyList(state_dict(model), list(px_r = seq(-1, 1, length.out = 12))))
        file <- withr::local_tempfile()
        save_model(model, file)
        expect_same_model(load_model(file), model)
        dir <- withr::local_tempfile()
        post <- Posterior(model, dataset, indices = 1:20)
        save_posterior(post, dir)
        again <- load_posterior(dir)
        expect_same_model(again@model, model)
        expect_identical(get_latent(again), get_latent(post))
        # From plain R data alone, as after readRDS().
        revived <- unserialize(serialize(model, NULL))
        expect_identical(elbo(Posterior(revived, dataset), seed = 1), elbo(Posterior(model, dataset), seed = 1))
        scanvi <- SCANVI(dataset, from = model, seed = 2)
        kept <- c("library", "dispersion_start", "library_start", "scale_start", "normalisation")
        expect_identical(scanvi@options[kept], model@options[kept])
        expect_identical(state_dict(scanvi)[names(state_dict(model))], state_dict(model))
        expect_error(SCANVI(dataset, from = model, normalisation = "batch"), "`normalisation` is that of `from`")
    }
})

test_that("a model of a new batch keeps what the options made of it", {
    dataset <- small_dataset()
    model <- small_model(dataset, library = "residual", normalisation = "layer", dispersion_start = "moments")
    query <- as.matrix(counts(dataset))[, 1:30]
    post <- Posterior(model, dataset)
    mapped <- suppressMessages(map_query(post, query, batch = rep("c", 30), n_epochs = 1, seed = 1))
    expect_identical(mapped@model@options[c("library", "normalisation")], model@options[c("library", "normalisation")])
    expect_equal(unname(latent_matrix(mapped)), unname(latent_matrix(Posterior(model, dataset, indices = 1:30))),
        tolerance = 1e-5)
})
