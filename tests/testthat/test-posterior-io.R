# Posteriors in folders: what is loaded is what was saved, with the model and the settings that are given.

test_that("everything comes back bit for bit, and gives the same results", {
    post <- io_posterior()
    loaded <- load_posterior(saved(post))
    expect_same_posterior(loaded, post)
    # identical() takes 0 and -0, and all NaNs, for equal.
    bits <- function(x) writeBin(as.vector(x), raw())
    expect_identical(bits(loaded@gene_dataset@cell_data$real), bits(post@gene_dataset@cell_data$real))
    expect_identical(bits(proteins(loaded@gene_dataset)), bits(proteins(post@gene_dataset)))
    expect_identical(loaded@indices, c(7L, 40:30, 7L, 4L, 17L, 1L))
    expect_identical(loaded@data_loader_kwargs, list(batch_size = 5L))
})

test_that("labels keep their codes where their order of appearance, of names and of levels all differ", {
    post <- io_posterior(dispersion = "gene-label")
    loaded <- load_posterior(saved(post))
    expect_identical(cell_types(loaded@gene_dataset), c("z", "a", "m"))
    expect_identical(as.integer(labels(loaded@gene_dataset))[1:4], c(3L, 1L, 1L, 2L))
    expect_s3_class(batch_indices(loaded@gene_dataset), "ordered")
    expect_same_posterior(loaded, post)
})

test_that("cells without counts stay, and the indices still mean the same cells", {
    post <- io_posterior()
    loaded <- load_posterior(saved(post))
    expect_identical(nb_cells(loaded@gene_dataset), 40L)
    expect_identical(unname(Matrix::colSums(counts(loaded@gene_dataset))[c(4, 17)]), c(0, 0))
    expect_identical(posterior_cell_names(loaded), posterior_cell_names(post))
})

test_that("a corrupted posterior stays corrupted, and so do settings", {
    post <- corrupted(io_posterior())
    loaded <- load_posterior(saved(post))
    expect_true(loaded@use_corrupted)
    expect_same_posterior(loaded, post)
    expect_identical(raw_data(loaded), raw_data(post))
    expect_same_posterior(uncorrupted(loaded), uncorrupted(post))

    dataset <- io_dataset(corrupted = FALSE)
    shuffled <- Posterior(io_model(dataset), dataset, shuffle = TRUE, use_cuda = FALSE)
    loaded <- load_posterior(saved(shuffled))
    expect_null(loaded@gene_dataset@corrupted)
    expect_same_posterior(loaded, shuffled)
})

test_that("models of every kind come back", {
    dataset <- small_dataset()
    for (dispersion in c("gene", "gene-batch", "gene-label", "gene-cell")) {
        post <- Posterior(small_model(dataset, dispersion = dispersion, n_layers = 2, dropout_rate = 1 / 3), dataset)
        expect_same_posterior(load_posterior(saved(post)), post)
    }
    for (options in list(list(reconstruction_loss = "nb"), list(reconstruction_loss = "poisson"), list(n_batch = 0),
        list(log_variational = FALSE), list(latent_distribution = "ln"))) {
        post <- Posterior(do.call(small_model, c(list(dataset), options)), dataset)
        expect_same_posterior(load_posterior(saved(post)), post)
    }
    from_numbers <- Posterior(VAE(12, n_batch = 2, n_hidden = 8, seed = 1), dataset)
    loaded <- load_posterior(saved(from_numbers))
    expect_null(loaded@model@genes)
    expect_same_posterior(loaded, from_numbers)
})

test_that("weights keep every bit: denormal numbers, -0, the largest and the smallest", {
    post <- io_posterior()
    state <- state_dict(post@model)
    special <- c(-0, 2^-149, -2^-149, 2^-126, 3.4028234663852886e38, -3.4028234663852886e38, 1 / 3)
    state$px_r[seq_along(special)] <- special
    load_state_dict(post@model, state)
    dir <- saved(post)
    bits <- function(x) writeBin(x, raw(), size = 4)
    expected <- bits(state_dict(post@model)$px_r)
    expect_identical(bits(state_dict(load_posterior(dir)@model)$px_r), expected)
    expect_identical(bits(read_safetensors(file.path(dir, "model.safetensors"))$px_r), expected)
})

test_that("a trained posterior comes back, and training goes on from it as it would have", {
    dataset <- small_dataset()
    trainer <- UnsupervisedTrainer(small_model(dataset), dataset, batch_size = 20)
    train(trainer, n_epochs = 3, seed = 1, verbose = FALSE)
    post <- train_set(trainer)
    loaded <- load_posterior(saved(post))
    expect_same_posterior(loaded, post)
    go_on <- function(model) {
        again <- UnsupervisedTrainer(model, dataset, batch_size = 20)
        train(again, n_epochs = 2, seed = 2, verbose = FALSE)
        state_dict(model)
    }
    expect_identical(go_on(loaded@model), go_on(post@model))
})

test_that("a data set of one gene, of one cell's posterior, and of none", {
    dataset <- GeneExpressionDataset(matrix(1:6, 1))
    post <- Posterior(VAE(dataset, n_hidden = 1, n_latent = 1, seed = 1), dataset, indices = 3)
    loaded <- load_posterior(saved(post))
    expect_same_slots(loaded@gene_dataset, dataset)
    expect_same_model(loaded@model, post@model)
    expect_identical(loaded@indices, 3L)
    empty <- Posterior(post@model, dataset, indices = integer(0))
    expect_identical(load_posterior(saved(empty))@indices, integer(0))
})

test_that("more cells than a chunk of the reader comes back, in the bytes that it needs", {
    n <- 9000
    counts <- withr::with_seed(1, matrix(as.numeric(stats::rpois(30 * n, 1)), 30))
    dataset <- GeneExpressionDataset(as_dgc(counts), batch = rep(c("a", "b"), n / 2), labels = rep(letters[1:9], n / 9),
        empty_cells = "keep")
    post <- Posterior(VAE(dataset, n_hidden = 4, seed = 1), dataset)
    dir <- saved(post)
    loaded <- load_posterior(dir)
    expect_same_slots(loaded@gene_dataset, dataset)
    # One byte for a count, two for its gene; four for the start of a cell, and two codes and two priors of four.
    expect_lt(file.size(file.path(dir, "dataset.safetensors")), 2 * length(dataset@counts@x) + 20 * n + 2000)
})

test_that("the real data set comes back", {
    dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
    post <- Posterior(VAE(dataset, n_hidden = 16, seed = 1), dataset, indices = labels(dataset) == "B cells")
    expect_same_posterior(load_posterior(saved(post)), post)
})

test_that("a posterior from readRDS() is saved, and a loaded one survives saveRDS()", {
    post <- io_posterior()
    file <- withr::local_tempfile()
    saveRDS(post, file)
    loaded <- load_posterior(saved(readRDS(file)))
    expect_same_posterior(loaded, post)
    saveRDS(loaded, file)
    expect_same_posterior(readRDS(file), post)
})

test_that("saving and loading leave R's generator and the posterior alone", {
    post <- io_posterior()
    before <- list(state_dict(post@model), elbo(post, seed = 1))
    withr::local_seed(4)
    seed <- .Random.seed
    loaded <- load_posterior(saved(post))
    expect_identical(.Random.seed, seed)
    expect_identical(list(state_dict(post@model), elbo(post, seed = 1)), before)
    # Two loaded ones share nothing.
    load_state_dict(loaded@model, lapply(state_dict(loaded@model), function(x) x * 0 + 1))
    expect_identical(list(state_dict(post@model), elbo(post, seed = 1)), before)
})

test_that("save_posterior() gives the path, and takes any", {
    post <- Posterior(small_model(small_dataset()), small_dataset())
    base <- withr::local_tempdir()
    for (name in c("with space", "[a]*?", "\u00fcml\u00e4ut", "slash/", "{x}")) {
        dir <- file.path(base, name)
        expect_invisible(save_posterior(post, dir))
        expect_identical(list.files(dir), sort(c("MD5SUMS", unname(posterior_files))))
        expect_s4_class(load_posterior(dir), "Posterior")
    }
    withr::with_dir(base, {
        expect_identical(save_posterior(post, "relative"), "relative")
        expect_s4_class(load_posterior("relative"), "Posterior")
    })
})

# The model and settings that are given -------------------------------------------------------------------------------

test_that("a model that is given gets the weights, in place", {
    post <- io_posterior()
    dir <- saved(post)
    for (given in list(io_model(post@gene_dataset, seed = 9), VAE(12, 2, 3, n_hidden = 8, n_latent = 3, seed = 9))) {
        elsewhere <- Posterior(given, post@gene_dataset, indices = 1:5)
        loaded <- load_posterior(dir, given)
        expect_identical(loaded@model@state, given@state)
        expect_identical(state_dict(given), state_dict(post@model))
        expect_identical(elbo(elsewhere, seed = 1), elbo(update_sampler_indices(post, 1:5), seed = 1))
    }
})

test_that("a model that does not fit is refused, and stays as it was", {
    post <- io_posterior()
    dir <- saved(post)
    dataset <- post@gene_dataset
    others <- list(
        io_model(dataset, n_layers = 2, seed = 9), io_model(dataset, reconstruction_loss = "nb", seed = 9),
        io_model(dataset, dropout_rate = 0.2, seed = 9),
        io_model(reorder_genes(dataset, rev(gene_names(dataset))), seed = 9)
    )
    for (other in others) {
        before <- state_dict(other)
        expect_error(load_posterior(dir, other), class = "rscvi_model_mismatch")
        expect_identical(state_dict(other), before)
    }
    expect_error(load_posterior(dir, others[[1]]), "n_layers = 2", fixed = TRUE)
    expect_error(load_posterior(dir, others[[4]]), "genes", fixed = TRUE)
    expect_error(load_posterior(dir, "VAE"), class = "rscvi_invalid_argument")
})

test_that("a model that is given stays as it was when the weights are broken", {
    post <- io_posterior()
    dir <- saved(post)
    save_model(io_model(post@gene_dataset, n_layers = 2), other <- withr::local_tempfile())
    file.copy(other, file.path(dir, "model.safetensors"), overwrite = TRUE)
    given <- io_model(post@gene_dataset, seed = 9)
    before <- list(state_dict(given), elbo(Posterior(given, post@gene_dataset), seed = 1))
    expect_error(load_posterior(dir, given), class = "rscvi_bad_save")
    forge_checksums(dir)
    expect_error(load_posterior(dir, given), "tensor that this model does not have", class = "rscvi_bad_save")
    expect_identical(list(state_dict(given), elbo(Posterior(given, post@gene_dataset), seed = 1)), before)
})

test_that("other settings are those of update()", {
    dir <- saved()
    loaded <- load_posterior(dir, use_cuda = FALSE, batch_size = 17, shuffle = TRUE)
    expect_identical(loaded@use_cuda, FALSE)
    expect_identical(loaded@data_loader_kwargs, list(batch_size = 17L))
    expect_true(loaded@shuffle)
    expect_error(load_posterior(dir, indices = 1:3), class = "rscvi_invalid_argument")
    expect_error(load_posterior(dir, batch_size = 0), class = "rscvi_invalid_argument")
})

test_that("a posterior of a machine with a GPU is loaded on one without", {
    skip_if(cuda_is_available(), "there is a GPU")
    post <- io_posterior()
    post@use_cuda <- TRUE
    dir <- saved(post)
    expect_message(loaded <- load_posterior(dir), class = "rscvi_no_gpu")
    expect_null(loaded@use_cuda)
    expect_silent(loaded <- load_posterior(dir, use_cuda = FALSE))
    expect_identical(loaded@use_cuda, FALSE)
    expect_error(load_posterior(dir, use_cuda = TRUE), class = "rscvi_device_error")
    expect_error(load_posterior(dir, use_cuda = "auto"), class = "rscvi_invalid_argument")
})

test_that("to_cuda() asks for the GPU, and says so if there is none", {
    post <- io_posterior()
    if (cuda_is_available()) {
        moved <- to_cuda(post, batch_size = 3)
        expect_identical(moved@use_cuda, TRUE)
        expect_identical(moved@data_loader_kwargs$batch_size, 3L)
        expect_null(post@use_cuda)
    } else {
        expect_error(to_cuda(post), "no GPU", class = "rscvi_device_error")
    }
    expect_error(to_cuda(post, use_cuda = FALSE), class = "rscvi_invalid_argument")
    expect_identical(posterior_type(post), "Posterior")
})
