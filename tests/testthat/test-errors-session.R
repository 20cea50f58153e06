# Bad input of every kind is an error of the right class that names what is wrong, and the session goes on: the same
# training as before gives the same bits.

dataset <- small_dataset()
x <- as.matrix(counts(dataset))
sce <- SingleCellExperiment::SingleCellExperiment(list(counts = x),
    colData = S4Vectors::DataFrame(donor = as.character(batch_indices(dataset))))
with_value <- function(value) {
    x[3, 7] <- value
    x
}
train_small <- function() {
    trainer <- UnsupervisedTrainer(small_model(dataset), dataset, batch_size = 16, frequency = 1)
    train(trainer, n_epochs = 2, lr = 1e-2, seed = 1)
    list(history(trainer), state_dict(model(trainer)), elbo(test_set(trainer), seed = 1))
}
wanted <- train_small()

# Lives through all errors, so that each is also tried on objects that other errors went over.
survivor <- UnsupervisedTrainer(small_model(dataset), dataset, batch_size = 16)
train(survivor, n_epochs = 1, seed = 1)
post <- test_set(survivor)
answer <- list(get_latent(post), elbo(post, seed = 1), state_dict(model(survivor)), history(survivor))

cases <- list(
    # what, class, message, call
    list("negative counts", "invalid_counts", "negative values.*-2.*\"gene3\".*\"cell7\"",
        quote(GeneExpressionDataset(with_value(-2)))),
    list("fractional counts", "invalid_counts", "fractional values.*0.5",
        quote(GeneExpressionDataset(with_value(0.5)))),
    list("missing counts", "invalid_counts", "missing or infinite values.*NA",
        quote(GeneExpressionDataset(with_value(NA)))),
    list("infinite counts", "invalid_counts", "missing or infinite values.*Inf",
        quote(GeneExpressionDataset(with_value(Inf)))),
    list("log-transformed counts", "invalid_counts", "log-transformed", quote(GeneExpressionDataset(log1p(x)))),
    list("an empty cell", "empty_cells", "cells without counts.*\"cell5\"",
        quote(GeneExpressionDataset(replace(x, cbind(1:12, 5), 0)))),
    list("no genes", "invalid_argument", "0 genes and 60 cells", quote(GeneExpressionDataset(x[0, ]))),
    list("no cells", "invalid_argument", "12 genes and 0 cells", quote(GeneExpressionDataset(x[, 0]))),
    list("a batch of one cell", "degenerate_batch", "\"lonely\".*one cell",
        quote(GeneExpressionDataset(x, batch = c("lonely", rep("many", 59))))),
    list("a missing assay", "invalid_argument", "`assay.type` is \"umi\".*\"counts\"",
        quote(GeneExpressionDataset(sce, assay.type = "umi"))),
    list("a missing column", "invalid_argument", "`batch` is \"sample\".*\"donor\"",
        quote(GeneExpressionDataset(sce, batch = "sample"))),
    list("batches of a wrong length", "invalid_argument", "`batch`.*60.*not 59",
        quote(GeneExpressionDataset(x, batch = rep(1:2, length.out = 59)))),
    list("labels of a wrong length", "invalid_argument", "`labels`.*60.*not 61",
        quote(GeneExpressionDataset(x, labels = rep(1:2, length.out = 61)))),
    list("an unknown dispersion", "invalid_argument", "`dispersion`.*\"gene-cell\".*\"cell\"",
        quote(VAE(dataset, dispersion = "cell"))),
    list("an unknown loss", "invalid_argument", "`reconstruction_loss`.*\"normal\"",
        quote(VAE(dataset, reconstruction_loss = "normal"))),
    list("an unknown latent distribution", "invalid_argument", "`latent_distribution`.*\"cauchy\"",
        quote(VAE(dataset, latent_distribution = "cauchy"))),
    list("a state without a tensor", "invalid_argument", "lacks the tensor 'px_r'",
        quote(load_state_dict(model(survivor), state_dict(model(survivor))[-1]))),
    list("a state with a tensor too many", "invalid_argument", "'px_q'",
        quote(load_state_dict(model(survivor), c(state_dict(model(survivor)), list(px_q = 1))))),
    list("a state with a misshapen tensor", "invalid_argument", "'px_r' must be 12, not 11",
        quote(load_state_dict(model(survivor), utils::modifyList(state_dict(model(survivor)), list(px_r = 1:11))))),
    list("a state with NaN", "invalid_argument", "\"px_r\".*missing",
        quote(load_state_dict(model(survivor), replace(state_dict(model(survivor)), "px_r", list(rep(NaN, 12)))))),
    list("indices out of range", "invalid_argument", "`indices`.*from 1 to 60; found 61",
        quote(Posterior(model(survivor), dataset, indices = 61))),
    list("indices with shuffle", "invalid_argument", "`indices` is mutually exclusive",
        quote(Posterior(model(survivor), dataset, indices = 1:3, shuffle = TRUE))),
    list("train_size of 0", "invalid_argument", "`train_size`.*\\(0, 1\\], not 0",
        quote(UnsupervisedTrainer(model(survivor), dataset, train_size = 0))),
    list("train_size above 1", "invalid_argument", "`train_size`.*not 1.5",
        quote(UnsupervisedTrainer(model(survivor), dataset, train_size = 1.5))),
    list("a learning rate of 0", "invalid_argument", "`lr`.*not 0", quote(train(survivor, lr = 0))),
    list("a negative learning rate", "invalid_argument", "`lr`.*not -1", quote(train(survivor, lr = -1))),
    list("a model for other genes", "model_mismatch", "11 genes.*12", quote(Posterior(VAE(11), dataset))),
    list("a model for other batches", "model_mismatch", "3 batches.*2",
        quote(UnsupervisedTrainer(VAE(12, n_batch = 3), dataset))),
    list("a posterior without cells", "empty_posterior", "no cells",
        quote(elbo(Posterior(model(survivor), dataset, indices = integer(0))))),
    list("a set too small to watch", "invalid_argument", "'test_set', which has 3 cells",
        quote(train(UnsupervisedTrainer(model(survivor), dataset, train_size = 0.95,
            early_stopping_kwargs = list(early_stopping_metric = "elbo")), n_epochs = 1, seed = 1))),
    list("corrupted counts that are not there", "invalid_argument", "no corrupted counts", quote(corrupted(post))),
    list("noise of a wrong shape", "invalid_argument", "`noise\\$z`", quote(elbo(post, noise = list(z = diag(3))))),
    list("an object without a fit", "no_fit", "\"SCVI\"", quote(posterior(sce))),
    list("divergence", "diverged", "diverged in epoch [12] of 3",
        quote(train(UnsupervisedTrainer(small_model(dataset), dataset, batch_size = 16), 3, lr = 1e12, seed = 1)))
)

for (case in cases) {
    test_that(paste0(case[[1]], ": a clear error, and the session goes on"), {
        error <- tryCatch(eval(case[[4]]), error = identity)
        expect_s3_class(error, paste0("rscvi_", case[[2]]))
        expect_s3_class(error, "rscvi_error")
        expect_match(gsub("\\s+", " ", conditionMessage(error)), case[[3]])
        # No stack of C++ calls reaches a user.
        expect_false(grepl("frame #|Exception raised from|c10::|at::|0x[0-9a-f]{6}", conditionMessage(error)))
        expect_identical(train_small(), wanted)
        expect_identical(list(get_latent(post), elbo(post, seed = 1), state_dict(model(survivor)), history(survivor)),
            answer)
    })
}

test_that("a GPU that is not there: a clear error, and the session goes on", {
    skip_if(cuda_is_available(), "there is a GPU")
    for (call in expression(
        Posterior(model(survivor), dataset, use_cuda = TRUE), update(post, use_cuda = TRUE),
        UnsupervisedTrainer(model(survivor), dataset, use_cuda = TRUE), runSCVI(sce, n_epochs = 1, use_cuda = TRUE)
    )) {
        expect_error(eval(call), "`use_cuda` is TRUE.*no GPU", class = "rscvi_device_error")
    }
    # The core refuses, too.
    forced <- survivor
    forced@options$use_cuda <- TRUE
    expect_error(train(forced, n_epochs = 1, seed = 1), "sees none", class = "rscvi_device_error")
    expect_identical(train_small(), wanted)
    expect_identical(elbo(post, seed = 1), answer[[2]])
})

test_that("errors can be told apart by class and share a parent", {
    kind <- tryCatch(VAE(0), rscvi_model_mismatch = function(e) "mismatch",
        rscvi_invalid_argument = function(e) "argument")
    expect_identical(kind, "argument")
    expect_identical(tryCatch(VAE(0), rscvi_error = function(e) "ours"), "ours")
    expect_identical(tryCatch(VAE(0), error = function(e) "any"), "any")
})

test_that("an error deep in the core is one, with a class, without the core's stack", {
    # R's checks stand before these.
    handle <- model_handle(model(survivor))
    failure <- function(call) tryCatch(core(call), error = identity)
    error <- failure(model_inference_cpp(handle, list(x = matrix(1, 2, 3)), 1, NULL, list(), 1))
    expect_s3_class(error, "rscvi_invalid_argument")
    expect_match(conditionMessage(error), "cells x 12 genes")
    error <- failure(model_state_cpp(NULL))
    expect_s3_class(error, "rscvi_internal_error")
    error <- failure(train_cpp(handle, dataset_handle(dataset), 1:9, list(), list(), NULL, 1, NULL))
    expect_s3_class(error, "rscvi_internal_error")
    expect_match(conditionMessage(error), "n_epochs")
    expect_identical(train_small(), wanted)
})
