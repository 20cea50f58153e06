# get_latent, latent_matrix and get_stats: means, draws, noise of one's own.

dataset <- small_dataset()
x <- t(as.matrix(counts(dataset)))
trained_model <- function(...) {
    model <- small_model(dataset, ...)
    train(UnsupervisedTrainer(model, dataset), n_epochs = 5, lr = 1e-2, seed = 1)
    model
}
normal <- trained_model()
ln <- trained_model(latent_distribution = "ln")
encode <- function(model) inference(model, x, batch_indices(dataset), seed = 1)

test_that("get_latent is a data.frame of the coordinates, the batch and the label of every cell", {
    latent <- get_latent(Posterior(normal, dataset))
    expect_s3_class(latent, "data.frame")
    expect_identical(names(latent), c("latent_1", "latent_2", "latent_3", "batch", "labels"))
    expect_identical(rownames(latent), cell_names(dataset))
    expect_identical(latent$batch, batch_indices(dataset))
    expect_identical(latent$labels, labels(dataset))
    expect_identical(as.matrix(latent[1:3]), latent_matrix(Posterior(normal, dataset)))
})

test_that("the mean of a normal latent space is that of q(z|x), and takes no draw", {
    post <- Posterior(normal, dataset)
    set.seed(1)
    before <- .Random.seed
    z <- latent_matrix(post)
    get_latent(post)
    expect_identical(.Random.seed, before)
    expect_equal(unname(z), encode(normal)$qz_m, tolerance = 1e-6)
    expect_identical(latent_matrix(post, seed = 5), z)
    expect_identical(latent_matrix(post, n_samples = 1), z)
})

test_that("latent coordinates are the same for batches of 7 and of 128 cells", {
    big <- small_dataset(n_cells = 400)
    for (model in list(small_model(big), VAE(big, n_layers = 2, seed = 1))) {
        z <- lapply(c(7, 128), function(size) {
            latent_matrix(Posterior(model, big, data_loader_kwargs = list(batch_size = size)))
        })
        # A matrix product of 7 rows may be summed up in another order than one of 128: the last bit of a float.
        expect_lt(max(abs(z[[1]] - z[[2]])), 1e-6)
    }
})

test_that("a subset's coordinates are those rows of the whole", {
    whole <- latent_matrix(Posterior(normal, dataset))
    for (cells in list(1:60, 60:1, 17, c(5, 5, 2), which(batch_indices(dataset) == "b"))) {
        some <- latent_matrix(Posterior(normal, dataset, indices = cells))
        expect_equal(unname(some), unname(whole[cells, , drop = FALSE]), tolerance = 1e-6)
    }
})

test_that("a draw has the mean and the variance of q(z|x)", {
    q <- encode(normal)
    post <- Posterior(normal, dataset)
    draws <- vapply(1:400, function(seed) latent_matrix(post, give_mean = FALSE, seed = seed), matrix(0, 60, 3))
    score <- (apply(draws, 1:2, mean) - q$qz_m) / sqrt(q$qz_v / 400)
    expect_lt(max(abs(score)), 5)
    expect_gt(stats::ks.test(score, "pnorm")$p.value, 1e-4)
    # 399 s^2 / v is chi squared with 399 degrees of freedom.
    expect_equal(mean(apply(draws, 1:2, stats::var) / q$qz_v), 1, tolerance = 0.05)
    expect_identical(colnames(latent_matrix(post, give_mean = FALSE, seed = 1)), paste0("latent_", 1:3))
})

test_that("noise of one's own takes the place of the draw", {
    eps <- withr::with_seed(1, matrix(stats::rnorm(180), 60))
    q <- encode(normal)
    z <- q$qz_m + sqrt(q$qz_v) * eps
    post <- Posterior(normal, dataset, data_loader_kwargs = list(batch_size = 7))
    expect_equal(unname(latent_matrix(post, give_mean = FALSE, noise = list(z = eps))), z, tolerance = 1e-6)
    drawn <- get_latent(post, give_mean = FALSE, noise = list(z = eps))
    expect_equal(unname(as.matrix(drawn[1:3])), z, tolerance = 1e-6)
    q <- encode(ln)
    softmax <- function(u) exp(u) / rowSums(exp(u))
    expect_equal(unname(latent_matrix(Posterior(ln, dataset), give_mean = FALSE, noise = list(z = eps))),
        softmax(q$qz_m + sqrt(q$qz_v) * eps), tolerance = 1e-6)
    # The mean of "ln" over draws that are given: as many as there are.
    many <- withr::with_seed(2, array(stats::rnorm(5 * 180), c(5, 60, 3)))
    wanted <- Reduce(`+`, lapply(1:5, function(s) softmax(q$qz_m + sqrt(q$qz_v) * many[s, , ]))) / 5
    expect_equal(unname(latent_matrix(Posterior(ln, dataset), noise = list(z = many))), wanted, tolerance = 1e-6)
})

test_that("the mean of a logistic normal is that of its draws, and n_samples says how many", {
    post <- Posterior(ln, dataset)
    z <- latent_matrix(post, seed = 1)
    expect_equal(unname(rowSums(z)), rep(1, 60), tolerance = 1e-5)
    expect_true(all(z > 0 & z < 1))
    expect_identical(latent_matrix(post, n_samples = 5000, seed = 1), z)
    few <- vapply(1:60, function(seed) latent_matrix(post, n_samples = 150, seed = seed), matrix(0, 60, 3))
    error <- apply(few, 1:2, stats::sd)
    expect_lt(max(abs(z - apply(few, 1:2, mean)) / error), 1)
    # The error of a mean of 16 times as many draws is a quarter.
    more <- vapply(1:60, function(seed) latent_matrix(post, n_samples = 2400, seed = seed), matrix(0, 60, 3))
    expect_equal(mean(apply(more, 1:2, stats::sd)) / mean(error), 0.25, tolerance = 0.15)
    # One draw is not the mean.
    expect_gt(max(abs(latent_matrix(post, give_mean = FALSE, seed = 1) - z)), 0.05)
})

test_that("get_stats is a draw of the log library size of every cell", {
    post <- Posterior(normal, dataset, data_loader_kwargs = list(batch_size = 7))
    q <- encode(normal)
    eps <- withr::with_seed(3, stats::rnorm(60))
    given <- get_stats(post, noise = list(library = eps))
    expect_identical(names(given), cell_names(dataset))
    expect_equal(unname(given), c(q$ql_m + sqrt(q$ql_v) * eps), tolerance = 1e-6)
    draws <- vapply(1:400, function(seed) get_stats(post, seed = seed), numeric(60))
    score <- (rowMeans(draws) - c(q$ql_m)) / sqrt(c(q$ql_v) / 400)
    expect_lt(max(abs(score)), 5)
    expect_equal(mean(apply(draws, 1, stats::var) / q$ql_v), 1, tolerance = 0.05)
})

test_that("wrong arguments are refused by name", {
    post <- Posterior(normal, dataset, indices = 1:4)
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(get_latent(post, give_mean = NA), "`give_mean`.*NA")
    refuse(latent_matrix(post, n_samples = 0), "`n_samples`.*0")
    refuse(latent_matrix(post, give_mean = FALSE, noise = list(z = matrix(0, 3, 4))), "`noise\\$z`.*4 x 3.*3 x 4")
    refuse(latent_matrix(post, give_mean = FALSE, noise = list(x = 1)), "`noise`")
    refuse(latent_matrix(post, give_mean = FALSE, seed = "x"), "`seed`.*\"x\"")
    refuse(latent_matrix(normal), "`post`.*VAE")
    refuse(get_stats(post, noise = list(library = 1:3)), "`noise\\$library`.*4 x 1.*3")
    expect_error(get_latent(normal), "get_latent")
})
