# elbo, reconstruction_error and marginal_ll against what they are defined as, computed by hand in R.

dataset <- small_dataset()
x <- t(as.matrix(counts(dataset)))
n <- nrow(x)
trained_model <- function(...) {
    model <- small_model(dataset, ...)
    train(UnsupervisedTrainer(model, dataset), n_epochs = 5, lr = 1e-2, seed = 1)
    model
}
noise <- withr::with_seed(1, list(z = matrix(stats::rnorm(n * 3), n), library = matrix(stats::rnorm(n), n)))
loss_by_hand <- function(model) {
    loss_terms(model, x, local_means(dataset), local_vars(dataset), batch_indices(dataset), labels(dataset),
        noise = noise)
}
models <- list(
    zinb = trained_model(), nb = trained_model(reconstruction_loss = "nb", dispersion = "gene-label"),
    poisson = trained_model(reconstruction_loss = "poisson", n_layers = 2),
    ln = trained_model(latent_distribution = "ln", dispersion = "gene-cell")
)

# log p(x | z, l) of every cell, from what inference says, with R's own distributions.
log_likelihood <- function(loss, px_rate, px_r, px_dropout) {
    theta <- if (is.matrix(px_r)) px_r else matrix(px_r, n, ncol(x), byrow = TRUE)
    p <- switch(loss,
        poisson = stats::dpois(x, px_rate),
        nb = stats::dnbinom(x, size = theta, mu = px_rate),
        zinb = {
            dropped <- stats::plogis(px_dropout)
            dropped * (x == 0) + (1 - dropped) * stats::dnbinom(x, size = theta, mu = px_rate)
        }
    )
    rowSums(log(p))
}

test_that("elbo and reconstruction_error are means of the loss terms with the same noise", {
    for (name in names(models)) {
        terms <- loss_by_hand(models[[name]])
        post <- Posterior(models[[name]], dataset, data_loader_kwargs = list(batch_size = 13))
        expect_equal(elbo(post, noise = noise), mean(rowSums(terms)), tolerance = 1e-6, info = name)
        expect_equal(reconstruction_error(post, noise = noise), mean(terms$reconst_loss), tolerance = 1e-6, info = name)
        # One bare number each.
        expect_null(names(elbo(post, noise = noise)))
        expect_null(names(reconstruction_error(post, noise = noise)))
        some <- c(8, 2, 2, 31)
        part <- Posterior(models[[name]], dataset, indices = some)
        expect_equal(elbo(part, noise = lapply(noise, function(e) e[some, , drop = FALSE])),
            mean(rowSums(terms[some, ])), tolerance = 1e-6, info = name)
    }
})

test_that("half of the noise may be left to chance", {
    post <- Posterior(models$zinb, dataset)
    a <- elbo(post, noise = noise["z"], seed = 1)
    expect_identical(elbo(post, noise = noise["z"], seed = 1), a)
    expect_false(identical(elbo(post, noise = noise["z"], seed = 2), a))
    expect_false(identical(elbo(post, noise = noise["library"], seed = 1), a))
    # With both given the seed has no say.
    expect_identical(elbo(post, noise = noise, seed = 1), elbo(post, noise = noise, seed = 2))
})

test_that("marginal_ll is the importance-sampled likelihood, weight by weight", {
    n_draws <- 6
    many <- withr::with_seed(2, list(z = array(stats::rnorm(n_draws * n * 3), c(n_draws, n, 3)),
        library = array(stats::rnorm(n_draws * n), c(n_draws, n, 1))))
    for (name in names(models)) {
        model <- models[[name]]
        weights <- vapply(seq_len(n_draws), function(s) {
            eps <- list(z = many$z[s, , ], library = many$library[s, , ])
            out <- inference(model, x, batch_indices(dataset), labels(dataset), noise = eps)
            # "ln": the Gaussian before the softmax.
            u <- out$qz_m + sqrt(out$qz_v) * eps$z
            log_likelihood(model@options$reconstruction_loss, out$px_rate, out$px_r, out$px_dropout) +
                rowSums(stats::dnorm(u, log = TRUE)) - rowSums(stats::dnorm(u, out$qz_m, sqrt(out$qz_v), log = TRUE)) +
                c(stats::dnorm(out$library, local_means(dataset), sqrt(local_vars(dataset)), log = TRUE)) -
                c(stats::dnorm(out$library, out$ql_m, sqrt(out$ql_v), log = TRUE))
        }, numeric(n))
        largest <- apply(weights, 1, max)
        by_cell <- largest + log(rowMeans(exp(weights - largest)))
        post <- Posterior(model, dataset, data_loader_kwargs = list(batch_size = 25))
        expect_equal(marginal_ll(post, n_draws, noise = many), -mean(by_cell), tolerance = 1e-6, info = name)
        one <- lapply(many, function(e) e[1, , , drop = FALSE])
        expect_equal(marginal_ll(post, 1, noise = one), -mean(weights[, 1]), tolerance = 1e-6, info = name)
    }
})

test_that("the bounds are in order: more draws bring the marginal likelihood down, and it is below the ELBO", {
    for (name in names(models)) {
        post <- Posterior(models[[name]], dataset)
        bound <- function(n_draws) mean(vapply(1:20, function(seed) marginal_ll(post, n_draws, seed = seed), 0))
        bounds <- c(bound(1), bound(5), bound(50))
        expect_true(all(diff(bounds) < 0), info = name)
        elbos <- vapply(1:100, function(seed) elbo(post, seed = seed), 0)
        # In expectation the bound of one draw is the ELBO; a draw of it varies more.
        ones <- vapply(1:100, function(seed) marginal_ll(post, 1, seed = seed), 0)
        error <- sqrt((stats::var(elbos) + stats::var(ones)) / 100)
        expect_lt(abs(mean(ones) - mean(elbos)), 5 * error)
        expect_lt(reconstruction_error(post, seed = 1), elbo(post, seed = 1))
    }
})

test_that("marginal_ll is the integral where that can be computed: one gene, whose share is always 1", {
    counts <- withr::with_seed(5, matrix(stats::rnbinom(40, mu = 30, size = 3) + 1, 1))
    one_gene <- GeneExpressionDataset(counts)
    model <- VAE(one_gene, n_hidden = 4, n_latent = 2, reconstruction_loss = "nb", seed = 1)
    train(UnsupervisedTrainer(model, one_gene, train_size = 1, n_epochs_kl_warmup = NULL), n_epochs = 150, lr = 1e-2,
        seed = 1)
    theta <- exp(state_dict(model)$px_r)
    prior <- library_prior(one_gene)
    exact <- vapply(counts[1, ], function(k) {
        f <- function(l) stats::dnbinom(k, size = theta, mu = exp(l)) * stats::dnorm(l, prior$mean, sqrt(prior$var))
        at <- prior$mean + c(-9, 9) * sqrt(prior$var)
        -log(stats::integrate(f, at[1], at[2], rel.tol = 1e-10)$value)
    }, 0)
    post <- Posterior(model, one_gene)
    # One estimate of 5,000 draws has a standard error of 3e-3: the proposal is narrower than the posterior.
    estimates <- vapply(1:20, function(seed) marginal_ll(post, 5000, seed = seed), 0)
    expect_equal(mean(estimates), mean(exact), tolerance = 2e-3)
    expect_gt(elbo(post, seed = 1), mean(exact))
})

test_that("wrong arguments are refused by name", {
    post <- Posterior(models$zinb, dataset, indices = 1:4)
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(marginal_ll(post, 0), "`n_mc_samples`.*0")
    refuse(marginal_ll(post, 2.5), "`n_mc_samples`.*2.5")
    refuse(marginal_ll(post, 2, noise = list(z = matrix(0, 4, 3))), "`noise\\$z`.*2 x 4 x 3 numbers, not 4 x 3")
    refuse(elbo(post, noise = list(z = matrix(0, 3, 3))), "`noise\\$z`.*4 x 3 numbers, not 3 x 3")
    refuse(elbo(post, noise = list(0)), "`noise`")
    refuse(reconstruction_error(post, noise = list(library = "a")), "`noise\\$library`")
    refuse(reconstruction_error(post, seed = -3), "`seed`.*-3")
})
