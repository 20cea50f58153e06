# imputation(), generate() and its companions: numbers of 0.6.8, distributions against theory, shapes, bad input.

dataset <- GeneExpressionDataset(counts(small_dataset()), batch = rep(c("a", "b", "c"), 20),
    labels = rep(c("x", "y"), each = 30))
n <- nb_cells(dataset)
genes <- gene_names(dataset)
cells <- cell_names(dataset)

trained <- function(...) {
    model <- small_model(dataset, ...)
    train(UnsupervisedTrainer(model, dataset), n_epochs = 5, lr = 1e-2, seed = 1)
    model
}
model <- trained()
post <- Posterior(model, dataset, data_loader_kwargs = list(batch_size = 13))

zero_noise <- function(n_samples, n_cells = n, n_latent = 3L) {
    list(z = array(0, c(n_samples, n_cells, n_latent)), library = array(0, c(n_samples, n_cells, 1L)))
}
some_noise <- function(n_samples, n_cells = n) {
    withr::with_seed(9, lapply(zero_noise(n_samples, n_cells), function(x) x + stats::rnorm(length(x))))
}
# Inference of all cells of the data set: draws x cells x genes for several draws, cells x genes for one.
ask <- function(model, noise, transform_batch = NULL) {
    n_samples <- dim(noise$z)[1L]
    if (n_samples == 1L) noise <- lapply(noise, function(x) array(x, dim(x)[-1L]))
    inference(model, t(as.matrix(counts(dataset))), batch_indices(dataset), labels(dataset), n_samples = n_samples,
        transform_batch = transform_batch, noise = noise)
}
by_cell <- function(x) if (is.matrix(x)) x else matrix(x, n, length(x), byrow = TRUE)
bad <- function(call, pattern) expect_error(call, pattern, class = "rscvi_invalid_argument")

for (folder in c("p1_vae_zinb_gene", "p2_vae_nb_genebatch_2layers", "p3_vae_poisson_ln_nobatch")) {
    ref <- reference(folder)
    expected <- ref$expected
    first <- seq_len(ref$config$n_forward)
    nothing <- list(z = matrix(0, length(first), ref$config$n_latent), library = matrix(0, length(first), 1))
    some <- Posterior(reference_model(ref), reference_dataset(ref), indices = first,
        data_loader_kwargs = list(batch_size = 7))

    test_that(paste(folder, "imputes as 0.6.8 does"), {
        expect_close(imputation(some, noise = nothing), expected$posterior.imputation_zero_noise_first)
        if (ref$config$model_n_batch > 1L) {
            expect_close(imputation(some, transform_batch = 1:2, noise = nothing),
                expected$posterior.imputation_tb01_zero_noise_first)
        } else {
            expect_null(expected$posterior.imputation_tb01_zero_noise_first)
        }
    })

    test_that(paste(folder, "has the parameters of 0.6.8"), {
        all <- generate_parameters(some, noise = nothing, unused = TRUE)
        expect_close(all$means, expected$inf_mean.px_rate)
        expect_close(all$dropout, expected$inf_mean.px_dropout)
        theta <- expected$inf_mean.px_r
        if (!is.matrix(theta)) {
            expect_close(all$dispersions[1, ], expected$posterior.generate_parameters.dispersions_row0)
            theta <- matrix(theta, length(first), length(theta), byrow = TRUE)
        }
        expect_close(all$dispersions, theta)
        # What the likelihood has, and nothing else.
        used <- generate_parameters(some, noise = nothing)
        expect_identical(names(used), c("dropout", "means", "dispersions"))
        loss <- ref$config$reconstruction_loss
        expect_identical(used$means, all$means)
        expect_identical(used$dropout, if (loss == "zinb") all$dropout)
        expect_identical(used$dispersions, if (loss != "poisson") all$dispersions)
    })
}

# imputation ----------------------------------------------------------------------------------------------------------

test_that("imputation is px_rate, draw by draw, whatever the minibatches", {
    one <- some_noise(1L)
    rate <- imputation(post, noise = list(z = one$z[1, , ], library = one$library[1, , , drop = FALSE]))
    expect_identical(dimnames(rate), list(cells, genes))
    expect_equal(unname(rate), ask(model, one)$px_rate, tolerance = 1e-5)
    expect_identical(imputation(post, noise = one), rate)
    expect_equal(imputation(update(post, batch_size = 1000), noise = one), rate, tolerance = 1e-6)

    many <- some_noise(4L)
    rates <- imputation(post, n_samples = 4, noise = many)
    expect_identical(dim(rates), c(4L, n, 12L))
    expect_identical(dimnames(rates), list(NULL, cells, genes))
    expect_equal(unname(rates), ask(model, many)$px_rate, tolerance = 1e-5)
    expect_equal(rates[, 30:35, ],
        imputation(update_sampler_indices(post, 30:35), n_samples = 4,
            noise = list(z = many$z[, 30:35, ], library = many$library[, 30:35, ])), tolerance = 1e-6)
})

test_that("imputation averages over batches, and picks genes in the data set's order", {
    noise <- some_noise(2L)
    as_batch <- lapply(1:3, function(b) unname(ask(model, noise, b)$px_rate))
    own <- unname(imputation(post, 2, noise = noise))
    for (b in 1:3) {
        found <- unname(imputation(post, 2, c("a", "b", "c")[b], noise = noise))
        expect_equal(found, as_batch[[b]], tolerance = 1e-5)
        mine <- as.integer(batch_indices(dataset)) == b
        expect_equal(found[, mine, ], own[, mine, ], tolerance = 1e-6)
        expect_gt(max(abs(found[, !mine, ] / own[, !mine, ] - 1)), 0.01)
    }
    expect_equal(unname(imputation(post, 2, c("c", "a"), noise = noise)), (as_batch[[3]] + as_batch[[1]]) / 2,
        tolerance = 1e-5)
    chosen <- imputation(post, 2, c("c", "a"), gene_list = genes[c(7, 2)], noise = noise)
    expect_identical(chosen, imputation(post, 2, c("c", "a"), noise = noise)[, , c(2, 7)])
    expect_identical(dim(imputation(post, gene_list = 3, seed = 1)), c(n, 1L))
})

test_that("imputation of a corrupted posterior starts from the corrupted counts", {
    damaged <- corrupt(dataset, 0.9, "binomial", seed = 1)
    read <- GeneExpressionDataset(corrupted_counts(damaged), batch_indices(dataset), empty_cells = "keep")
    noise <- some_noise(1L)
    corrupt_post <- corrupted(Posterior(model, damaged))
    expect_identical(imputation(corrupt_post, noise = noise), imputation(Posterior(model, read), noise = noise))
    expect_identical(generate(corrupt_post, 1, genes = 1:3, seed = 1)$x_old,
        t(as.matrix(corrupted_counts(damaged)))[, 1:3])
})

# generate ------------------------------------------------------------------------------------------------------------

test_that("generate gives an array of draws beside the counts, also for one draw and some genes", {
    drawn <- generate(post, n_samples = 3, batch_size = 17, seed = 1)
    expect_identical(names(drawn), c("x_new", "x_old"))
    expect_identical(dim(drawn$x_new), c(n, 12L, 3L))
    expect_identical(dimnames(drawn$x_new), list(cells, genes, NULL))
    expect_type(drawn$x_new, "integer")
    expect_gte(min(drawn$x_new), 0L)
    expect_identical(drawn$x_old, t(as.matrix(counts(dataset))))
    expect_identical(generate(post, 3, batch_size = 17, seed = 1), drawn)
    expect_false(identical(generate(post, 3, batch_size = 17, seed = 2), drawn))
    withr::with_seed(4, first <- generate(post, 1))
    withr::with_seed(4, expect_identical(generate(post, 1), first))

    single <- generate(post, n_samples = 1, genes = c("gene7", "gene2"), seed = 1)
    expect_identical(dim(single$x_new), c(n, 2L, 1L))
    expect_identical(colnames(single$x_new), c("gene7", "gene2"))
    expect_identical(single$x_old, drawn$x_old[, c(7, 2)])
    # The same draws of z with and without the subset: means of many draws agree.
    all <- generate(post, 2000, noise = zero_noise(2000L), seed = 1)$x_new
    two <- generate(post, 2000, genes = c(7, 2), noise = zero_noise(2000L), seed = 2)$x_new
    difference <- apply(all[, c(7, 2), ], 1:2, mean) - apply(two, 1:2, mean)
    spread <- sqrt((apply(all[, c(7, 2), ], 1:2, var) + apply(two, 1:2, var)) / 2000)
    expect_lt(max(abs(difference) / spread), 5)
    part <- update_sampler_indices(post, c(5, 5, 9))
    expect_identical(rownames(generate(part, 1, seed = 1)$x_new), make.unique(cells[c(5, 5, 9)]))
})

# Moments and zeros of counts with these parameters, given the draw of z and l.
theory <- function(loss, mu, theta, pi) {
    kept <- if (loss == "zinb") stats::plogis(-pi) else 1
    extra <- if (loss == "poisson") 0 else 1 / theta
    zero <- if (loss == "poisson") exp(-mu) else stats::dnbinom(0, mu = mu, size = theta)
    # Factorial moments; from them the raw ones (Stirling numbers of the second kind), and the central ones.
    f2 <- mu^2 * (1 + extra)
    f3 <- mu^3 * (1 + extra) * (1 + 2 * extra)
    f4 <- mu^4 * (1 + extra) * (1 + 2 * extra) * (1 + 3 * extra)
    m1 <- kept * mu
    m2 <- kept * (f2 + mu)
    m3 <- kept * (f3 + 3 * f2 + mu)
    m4 <- kept * (f4 + 6 * f3 + 7 * f2 + mu)
    list(mean = m1, variance = m2 - m1^2, fourth = m4 - 4 * m1 * m3 + 6 * m1^2 * m2 - 3 * m1^4,
        zero = 1 - kept + kept * zero)
}

for (loss in c("zinb", "nb", "poisson")) {
    for (dispersion in c("gene", "gene-batch", "gene-label", "gene-cell")) {
        test_that(paste("generated counts have the moments and the zeros of", loss, dispersion), {
            n_samples <- 3000L
            other <- Posterior(trained(reconstruction_loss = loss, dispersion = dispersion), dataset, indices = 1:24)
            noise <- zero_noise(n_samples, 24L)
            for (batch in list(NULL, "b")) {
                x <- generate(other, n_samples, batch_size = 10, transform_batch = batch, noise = noise, seed = 3)$x_new
                p <- ask(other@model, zero_noise(1L), batch)
                entry <- function(v) by_cell(v)[1:24, ]
                expected <- theory(loss, entry(p$px_rate), entry(p$px_r), entry(p$px_dropout))
                # 288 entries each: five standard errors of a mean, eight of a variance, whose tails are heavier; errors
                # of variances have standard deviation 1 all the same.
                error <- abs(apply(x, 1:2, mean) - expected$mean) / sqrt(expected$variance / n_samples)
                expect_lt(max(error), 5)
                zeros <- apply(x == 0, 1:2, mean)
                spread <- sqrt(expected$zero * (1 - expected$zero) / n_samples + 1e-9)
                expect_lt(max(abs(zeros - expected$zero) / spread), 5)
                spread <- sqrt((expected$fourth - expected$variance^2) / n_samples)
                error <- (apply(x, 1:2, var) - expected$variance) / spread
                expect_lt(max(abs(error)), 8)
                expect_lt(mean(error^2), 1.6)
            }
        })
    }
}

test_that("generated counts have the distribution of the model, by chi-square", {
    n_samples <- 20000L
    for (loss in c("zinb", "nb", "poisson")) {
        other <- Posterior(trained(reconstruction_loss = loss), dataset, indices = 1:2)
        x <- generate(other, n_samples, noise = zero_noise(n_samples, 2L), seed = 5)$x_new
        p <- ask(other@model, zero_noise(1L))
        for (gene in seq_along(genes)) {
            values <- 0:500
            mu <- p$px_rate[1, gene]
            probability <- if (loss == "poisson") stats::dpois(values, mu) else
                stats::dnbinom(values, mu = mu, size = p$px_r[gene])
            if (loss == "zinb") {
                dropped <- stats::plogis(p$px_dropout[1, gene])
                probability <- (values == 0) * dropped + (1 - dropped) * probability
            }
            cut <- max(1, sum(probability * n_samples >= 10 & cumsum(probability) < 1 - 1e-3))
            observed <- tabulate(pmin(x[1, gene, ], cut) + 1L, cut + 1L)
            wanted <- c(probability[seq_len(cut)], 1 - sum(probability[seq_len(cut)]))
            statistic <- sum((observed - wanted * n_samples)^2 / (wanted * n_samples))
            expect_gt(stats::pchisq(statistic, cut, lower.tail = FALSE), 1e-5)
        }
    }
})

test_that("rates that underflow to 0 give 0 counts", {
    state <- state_dict(model)
    state$decoder.px_scale_decoder.0.bias[5] <- -1e4
    dead <- Posterior(load_state_dict(small_model(dataset), state), dataset)
    expect_identical(max(get_sample_scale(dead, seed = 1)[, 5]), 0)
    expect_identical(max(generate(dead, 2, seed = 1)$x_new[, 5, ]), 0L)
    expect_identical(max(generate_denoised_samples(dead, 2, seed = 1)[, 5, ]), 0)
    correlation <- generate_feature_correlation_matrix(dead, 2, seed = 1)
    expect_true(all(is.na(correlation[5, -5])) && all(is.na(correlation[-5, 5])))
    expect_identical(correlation[5, 5], 1)
    expect_false(anyNA(correlation[-5, -5]))
})

# denoised samples and correlations -----------------------------------------------------------------------------------

test_that("denoised samples are gamma with shape theta and mean rna_size_factor * rho", {
    n_samples <- 3000L
    for (dispersion in c("gene", "gene-batch", "gene-cell")) {
        other <- Posterior(trained(dispersion = dispersion), dataset, indices = 1:4)
        for (batch in list(NULL, 3)) {
            w <- generate_denoised_samples(other, n_samples, rna_size_factor = 500, transform_batch = batch,
                noise = list(z = zero_noise(n_samples, 4L)$z), seed = 2)
            expect_identical(dim(w), c(4L, 12L, n_samples))
            expect_identical(dimnames(w), list(cells[1:4], genes, NULL))
            p <- ask(other@model, zero_noise(1L), batch)
            for (cell in c(1, 4)) {
                for (gene in c(1, 6, 12)) {
                    shape <- by_cell(p$px_r)[cell, gene]
                    test <- stats::ks.test(w[cell, gene, ], "pgamma", shape, shape / (500 * p$px_scale[cell, gene]))
                    expect_gt(test$p.value, 1e-4)
                }
            }
        }
    }
})

test_that("denoised samples have a shape, names and a seed, and take genes in the order given", {
    one <- generate_denoised_samples(post, n_samples = 1, seed = 1)
    expect_identical(dim(one), c(n, 12L, 1L))
    expect_identical(generate_denoised_samples(post, 1, seed = 1), one)
    expect_false(identical(generate_denoised_samples(post, 1, seed = 2), one))
    chosen <- generate_denoised_samples(post, 2, genes = c("gene9", "gene1"), seed = 1)
    expect_identical(dimnames(chosen), list(cells, c("gene9", "gene1"), NULL))
    # The size factor is a factor.
    expect_equal(generate_denoised_samples(post, 1, rna_size_factor = 10, seed = 1), one / 100, tolerance = 1e-6)
})

test_that("denoised samples of a Poisson model are its expected expression", {
    poisson <- Posterior(trained(reconstruction_loss = "poisson"), dataset)
    noise <- list(z = some_noise(2L)$z)
    found <- generate_denoised_samples(poisson, 2, noise = noise)
    shares <- get_sample_scale(poisson, n_samples = 2, return_mean = FALSE, noise = noise)
    expect_equal(found, aperm(1000 * shares, c(2, 3, 1)), tolerance = 1e-5)
})

# n * S observations by genes.
stacked <- function(samples) apply(samples, 2L, as.vector)

test_that("correlations are those of the denoised samples of the same seed", {
    for (method in c("spearman", "pearson")) {
        wanted <- function(...) stats::cor(stacked(generate_denoised_samples(post, ..., seed = 7)), method = method)
        found <- generate_feature_correlation_matrix(post, 6, batch_size = 25, correlation_type = method, seed = 7)
        expect_identical(dimnames(found), list(genes, genes))
        expect_equal(found, wanted(6, batch_size = 25), tolerance = 1e-6)
        expect_identical(unname(diag(found)), rep(1, 12))
        expect_true(isSymmetric(found))
        # One draw of each cell; two genes; several batches, each as it is alone.
        expect_equal(generate_feature_correlation_matrix(post, 1, correlation_type = method, seed = 7),
            wanted(1, batch_size = 64), tolerance = 1e-6)
        two <- generate_feature_correlation_matrix(post, 6, correlation_type = method, genes = c(8, 3), seed = 7)
        expect_identical(dimnames(two), list(genes[c(8, 3)], genes[c(8, 3)]))
        # Of single precision: where they are near 0, near on the scale from -1 to 1.
        expect_close(two, wanted(6, batch_size = 64, genes = c(8, 3)), 1e-6, floor = 1)
        as_batches <- generate_feature_correlation_matrix(post, 4, transform_batch = c("a", "c"),
            correlation_type = method, seed = 7)
        alone <- lapply(c("a", "c"), function(b) wanted(4, batch_size = 64, transform_batch = b))
        expect_equal(as_batches, (alone[[1]] + alone[[2]]) / 2, tolerance = 1e-6)
        expect_gt(max(abs(alone[[1]] - alone[[2]])), 1e-3)
    }
})

test_that("one gene, or one cell with several draws, is enough for a correlation", {
    expect_identical(generate_feature_correlation_matrix(post, 2, genes = "gene3", seed = 1),
        matrix(1, 1, 1, dimnames = list("gene3", "gene3")))
    lone <- update_sampler_indices(post, 4)
    found <- generate_feature_correlation_matrix(lone, 50, seed = 1)
    expect_equal(found, stats::cor(stacked(generate_denoised_samples(lone, 50, seed = 1)), method = "spearman"),
        tolerance = 1e-6)
    bad(generate_feature_correlation_matrix(lone, 1), "at least two observations")
})

# parameters ----------------------------------------------------------------------------------------------------------

test_that("parameters have a row for each cell in every mode of dispersion", {
    noise <- some_noise(3L)
    for (dispersion in c("gene", "gene-batch", "gene-label", "gene-cell")) {
        other <- Posterior(trained(dispersion = dispersion), dataset, data_loader_kwargs = list(batch_size = 13))
        p <- ask(other@model, noise)
        found <- generate_parameters(other, 3, noise = noise)
        expect_equal(unname(found$dropout), p$px_dropout, tolerance = 1e-5)
        expect_equal(unname(found$means), p$px_rate, tolerance = 1e-5)
        expect_identical(dimnames(found$means), list(NULL, cells, genes))
        theta <- if (is.null(dim(p$px_r))) by_cell(p$px_r) else p$px_r
        expect_identical(dim(theta), if (dispersion == "gene-cell") c(3L, n, 12L) else c(n, 12L))
        expect_equal(unname(found$dispersions), theta, tolerance = 1e-5)

        averaged <- generate_parameters(other, 3, give_mean = TRUE, noise = noise)
        over_draws <- function(x) if (length(dim(x)) == 3L) apply(x, 2:3, mean) else x
        for (name in names(averaged)) {
            expect_identical(dimnames(averaged[[name]]), list(cells, genes))
            expect_equal(averaged[[name]], over_draws(found[[name]]), tolerance = 1e-5)
        }
        one <- generate_parameters(other, noise = lapply(noise, function(x) x[1, , , drop = FALSE]))
        expect_equal(one$means, found$means[1, , ], tolerance = 1e-5)
        expect_identical(dim(one$dispersions), c(n, 12L))
        expect_identical(generate_parameters(other, seed = 1), generate_parameters(other, seed = 1))
    }
})

# interruption --------------------------------------------------------------------------------------------------------

test_that("Ctrl-C ends a method that draws, and the session goes on", {
    skip_on_os("windows")
    skip_on_cran()
    script <- withr::local_tempfile(fileext = ".R")
    saved <- withr::local_tempfile(fileext = ".rds")
    saveRDS(post, saved)
    writeLines(sprintf('
        .libPaths(%s)
        library(rscvi)
        post <- readRDS(%s)
        before <- generate(post, 2, seed = 1)
        system(sprintf("(sleep 1; kill -INT %%d) &", Sys.getpid()))
        seconds <- system.time(ended <- tryCatch({
            generate_feature_correlation_matrix(post, n_samples = 1e6, seed = 1)
            "completed"
        }, interrupt = function(condition) "interrupted"))[["elapsed"]]
        cat(ended, seconds < 30, identical(generate(post, 2, seed = 1), before))
    ', paste(deparse(.libPaths()), collapse = ""), deparse(saved)), script)
    output <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)),
        stdout = TRUE, stderr = TRUE, timeout = 120))
    expect_match(utils::tail(output, 1L), "interrupted TRUE TRUE")
})

# bad input -----------------------------------------------------------------------------------------------------------

test_that("bad input is an error that names the argument", {
    methods <- list(imputation = imputation, generate = generate, denoised = generate_denoised_samples,
        correlation = generate_feature_correlation_matrix, parameters = generate_parameters)
    for (name in names(methods)) {
        method <- methods[[name]]
        for (n_samples in list(0, -1, 1.5, NA, "a", 1:2, NULL)) bad(method(post, n_samples = n_samples), "n_samples")
        bad(method(post, n_samples = 2, seed = -1), "seed")
        bad(method(post, n_samples = 2, noise = 1), "noise")
        bad(method(post, n_samples = 2, noise = list(z = matrix(0, n, 3))), "noise\\$z.*2 x 60 x 3")
        expect_error(method(update_sampler_indices(post, integer(0)), n_samples = 1), class = "rscvi_empty_posterior")
        if (name == "parameters") next
        bad(method(post, n_samples = 2, transform_batch = "d"), "transform_batch.*\"d\"")
        for (batch in list(0, 4, 1.5, NA)) bad(method(post, n_samples = 2, transform_batch = batch), "transform_batch")
        bad(method(post, n_samples = 2, transform_batch = character(0)), "transform_batch.*no batch")
        one_batch <- GeneExpressionDataset(counts(dataset))
        without <- Posterior(small_model(one_batch), one_batch)
        bad(method(without, n_samples = 2, transform_batch = 1), "does not use batches")
        genes_as <- function(genes) {
            arguments <- list(post, n_samples = 2)
            arguments[[if (name == "imputation") "gene_list" else "genes"]] <- genes
            do.call(method, arguments)
        }
        bad(genes_as(c("gene1", "nope")), "\"nope\"")
        bad(genes_as(13), "from 1 to 12")
        bad(genes_as(rep(FALSE, 12)), "no gene")
        bad(genes_as(TRUE), "length 1")
        if (name == "imputation") next
        bad(genes_as(c(1, 1)), "more than once")
        for (size in list(0, 2.5, "a", NULL)) bad(method(post, n_samples = 2, batch_size = size), "batch_size")
        if (name == "correlation") next
        bad(method(post, n_samples = 2, transform_batch = c("a", "b")), "one batch")
    }
    for (method in methods[c("denoised", "correlation")]) {
        for (factor in list(0, -1, Inf, NA, "a")) bad(method(post, rna_size_factor = factor), "rna_size_factor")
    }
    bad(generate_feature_correlation_matrix(post, correlation_type = "kendall"), "spearman.*pearson.*kendall")
    bad(generate_parameters(post, give_mean = NA), "give_mean")
    bad(generate_parameters(post, unused = 1), "unused")
})
