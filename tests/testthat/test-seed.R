# Randomness: the same seed gives the same bits everywhere, set.seed() decides where there is none, and R's own stream
# moves by the one documented draw.

dataset <- small_dataset()
x <- t(as.matrix(counts(dataset)))
batch <- batch_indices(dataset)
normal <- small_model(dataset)
ln <- small_model(dataset, latent_distribution = "ln")
post <- Posterior(normal, dataset)
fresh_trainer <- function() UnsupervisedTrainer(small_model(dataset), dataset)
minibatch <- list(x = x, local_l_mean = 3, local_l_var = 0.2, batch_index = batch)

# Everything that takes a seed, as functions of it that return all that it decides.
random <- list(
    VAE = function(seed) state_dict(VAE(dataset, n_hidden = 8, seed = seed)),
    UnsupervisedTrainer = function(seed) UnsupervisedTrainer(normal, dataset, seed = seed)@sets,
    train = function(seed) {
        trainer <- train(fresh_trainer(), n_epochs = 2, seed = seed)
        list(state_dict(model(trainer)), history(trainer))
    },
    fit_minibatches = function(seed) {
        model <- small_model(dataset)
        list(fit_minibatches(model, list(minibatch, minibatch), seed = seed), state_dict(model))
    },
    corrupt_uniform = function(seed) corrupt(dataset, rate = 0.5, seed = seed)@corrupted,
    corrupt_binomial = function(seed) corrupt(dataset, rate = 0.5, corruption = "binomial", seed = seed)@corrupted,
    corrupt_posteriors = function(seed) {
        elbo(train_set(corrupt_posteriors(fresh_trainer(), rate = 0.5, corruption = "binomial", seed = seed)), seed = 1)
    },
    inference = function(seed) inference(normal, x, batch, seed = seed),
    inference_many = function(seed) inference(normal, x, batch, n_samples = 3, seed = seed),
    loss_terms = function(seed) loss_terms(normal, x, 3, 0.2, batch, seed = seed),
    latent_draw = function(seed) latent_matrix(post, give_mean = FALSE, seed = seed),
    get_latent_draw = function(seed) get_latent(post, give_mean = FALSE, seed = seed),
    latent_mean_ln = function(seed) get_latent(Posterior(ln, dataset), n_samples = 50, seed = seed),
    elbo = function(seed) elbo(post, seed = seed),
    reconstruction_error = function(seed) reconstruction_error(post, seed = seed),
    marginal_ll = function(seed) marginal_ll(post, 4, seed = seed),
    get_stats = function(seed) get_stats(post, seed = seed),
    get_sample_scale = function(seed) get_sample_scale(post, seed = seed),
    get_sample_scale_many = function(seed) get_sample_scale(post, n_samples = 3, return_mean = FALSE, seed = seed),
    shuffle = function(seed) {
        unlist(for_each_minibatch(update(post, shuffle = TRUE), function(x, ...) rownames(x), seed = seed))
    }
)

for (name in names(random)) {
    draw <- random[[name]]

    test_that(paste0(name, ": the same seed gives the same bits, another one others"), {
        first <- draw(17)
        expect_identical(draw(17), first)
        expect_identical(draw(17L), first)
        expect_false(identical(draw(18), first))
        # Large seeds are seeds like any other, and not all the same.
        expect_false(identical(draw(.Machine$integer.max), draw(.Machine$integer.max - 1)))
    })

    test_that(paste0(name, ": without a seed, set.seed() decides, by one draw; with one, R's stream stays"), {
        set.seed(5)
        seed <- sample.int(.Machine$integer.max, 1L)
        after <- .Random.seed
        set.seed(5)
        drawn <- draw(NULL)
        expect_identical(.Random.seed, after)
        expect_identical(drawn, draw(seed))
        expect_false(identical(draw(NULL), drawn))
        set.seed(5)
        before <- .Random.seed
        draw(3)
        expect_identical(.Random.seed, before)
    })
}

test_that("what is not random leaves R's stream alone", {
    set.seed(5)
    before <- .Random.seed
    get_latent(post)
    latent_matrix(post)
    raw_data(post)
    for_each_minibatch(post, function(...) NULL)
    UnsupervisedTrainer(normal, dataset)
    load_state_dict(clone(normal), state_dict(normal))
    log_nb(1, 2, 3)
    capture.output(print(post), print(normal), print(fresh_trainer()@gene_dataset))
    # One draw: the model of that trainer has a seed of its own, and everything else does not draw.
    expect_identical(.Random.seed, before)
})

test_that("the kind of R's generator plays no part but for that draw", {
    withr::local_seed(1, .rng_kind = "Wichmann-Hill")
    expect_identical(random$train(7), {
        withr::local_seed(1, .rng_kind = "Mersenne-Twister")
        random$train(7)
    })
})

test_that("draws of different methods with the same seed are not each other's", {
    # The weights of a model and the noise of its training come from streams of their own.
    noise <- inference(normal, x, batch, seed = 1)
    eps <- (noise$z - noise$qz_m) / sqrt(noise$qz_v)
    expect_lt(abs(stats::cor(c(eps), state_dict(VAE(180, n_hidden = 4, seed = 1))$px_r)), 0.25)
    # And they are standard normal.
    many <- inference(normal, x, batch, n_samples = 200, seed = 1)
    z <- sweep(sweep(many$z, 2:3, many$qz_m), 2:3, sqrt(many$qz_v), `/`)
    expect_gt(stats::ks.test(z[seq(1, length(z), 7)], "pnorm")$p.value, 1e-3)
    l <- sweep(sweep(many$library, 2:3, many$ql_m), 2:3, sqrt(many$ql_v), `/`)
    expect_gt(stats::ks.test(c(l), "pnorm")$p.value, 1e-3)
    expect_lt(abs(stats::cor(c(l), c(z[, , 1]))), 5 / sqrt(length(l)))
})

test_that("a seed that is none is refused", {
    for (bad in list(-1, 1.5, NA_real_, "1", 1:2, 2^31)) {
        expect_error(resolve_seed(bad), "`seed`", class = "rscvi_invalid_argument")
    }
    expect_identical(resolve_seed(0), 0)
    expect_identical(resolve_seed(.Machine$integer.max), 2147483647)
})
