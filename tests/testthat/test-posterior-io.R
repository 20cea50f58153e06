# Posteriors in folders: what is loaded is what was saved; what is broken is refused; what fails leaves nothing behind.

# What comes back -----------------------------------------------------------------------------------------------------

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

# What cannot be saved ------------------------------------------------------------------------------------------------

test_that("columns that are no plain data are left out, with a warning that names them", {
    counts <- io_counts()
    columns <- S4Vectors::DataFrame(good = seq_len(40), ranges = S4Vectors::SimpleList(rep(list(sum), 40)))
    columns[["functions"]] <- rep(list(sum), 40)
    columns[["strange"]] <- structure(seq_len(40), class = "somebody's")
    columns[["bytes"]] <- rep("\xff", 40)
    columns[["imaginary"]] <- rep(1i, 40)
    S4Vectors::mcols(columns) <- S4Vectors::DataFrame(unit = letters[1:6])
    S4Vectors::metadata(columns) <- list(fine = 1, not = new.env())
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = counts + 1), colData = columns)
    dataset <- GeneExpressionDataset(sce)
    post <- Posterior(io_model(dataset), dataset)
    dir <- file.path(withr::local_tempdir(), "saved")
    warning <- expect_warning(save_posterior(post, dir), class = "rscvi_not_saved")
    for (name in c("ranges", "functions", "strange", "bytes", "imaginary", "metadata")) {
        expect_match(conditionMessage(warning), name, fixed = TRUE)
    }
    loaded <- load_posterior(dir)@gene_dataset
    expect_identical(colnames(loaded@cell_data), "good")
    expect_identical(S4Vectors::metadata(loaded@cell_data), list(fine = 1))
    expect_identical(loaded@cell_data$good, dataset@cell_data$good)
    expect_identical(S4Vectors::mcols(loaded@cell_data)$unit, "a")
})

test_that("a place that cannot be written to is refused, with nothing left behind", {
    post <- io_posterior()
    base <- withr::local_tempdir()
    file <- file.path(base, "file")
    writeLines("mine", file)
    dir.create(file.path(base, "folder"))
    refused <- function(dir, message) {
        expect_error(save_posterior(post, dir), message, class = "rscvi_save_failed")
    }
    refused(file, "there already")
    refused(file.path(base, "folder"), "there already")
    refused(file.path(base, "folder/"), "there already")
    refused(base, "there already")
    refused("/", "there already")
    refused(file.path(base, "no", "such"), "does not exist")
    refused(file.path(file, "below"), "does not exist")
    refused(file.path(base, strrep("x", 300)), "too long")
    expect_identical(readLines(file), "mine")
    expect_setequal(list.files(base, all.files = TRUE, no.. = TRUE), c("file", "folder"))
    for (bad in list("", NA_character_, c("a", "b"), 1, NULL)) {
        expect_error(save_posterior(post, bad), class = "rscvi_invalid_argument")
    }
    expect_s4_class(load_posterior(saved(post)), "Posterior")
})

test_that("a folder that may not be written to is refused", {
    skip_on_os("windows")
    base <- withr::local_tempdir()
    Sys.chmod(base, "0500")
    withr::defer(Sys.chmod(base, "0700"))
    skip_if(file.access(base, 2) == 0, "this user may write everywhere")
    expect_error(save_posterior(io_posterior(), file.path(base, "a")), "denied", class = "rscvi_save_failed")
})

test_that("an error in the middle leaves no folder", {
    post <- io_posterior()
    # The data set is written first; then the weights turn out to be broken.
    post@model <- clone(post@model)
    post@model@state$weights <- post@model@state$weights[-1]
    base <- withr::local_tempdir()
    expect_error(save_posterior(post, file.path(base, "saved")), class = "rscvi_error")
    expect_identical(list.files(base, all.files = TRUE, no.. = TRUE), character(0))
    save_posterior(io_posterior(), file.path(base, "saved"))
    expect_identical(list.files(base, all.files = TRUE, no.. = TRUE), "saved")
})

# Files of that process may not be longer than 4 kB: as on a full disk where the signal is ignored; else it dies.
save_without_space <- function(signal, dir, env = parent.frame()) {
    script <- withr::local_tempfile(.local_envir = env, lines = c(
        sprintf("library(rscvi, lib.loc = %s)", deparse(dirname(find.package("rscvi")))),
        "dataset <- GeneExpressionDataset(matrix(rpois(4000, 2) + 1, 40))",
        "post <- Posterior(VAE(dataset, n_hidden = 32), dataset)",
        "refuse <- function(e) cat('refused:', conditionMessage(e))",
        sprintf("tryCatch(save_posterior(post, %s), rscvi_save_failed = refuse)", deparse(dir)),
        "cat(' alive:', is.finite(elbo(post)))"
    ))
    command <- sprintf("%s ulimit -f 8; exec %s --vanilla %s", signal, shQuote(file.path(R.home("bin"), "Rscript")),
        shQuote(script))
    suppressWarnings(system2("sh", c("-c", shQuote(command)), stdout = TRUE, stderr = FALSE))
}

test_that("a full disk is an error, after which nothing is left and the session works", {
    skip_on_os("windows")
    skip_on_cran()
    base <- withr::local_tempdir()
    out <- paste(save_without_space("trap '' XFSZ;", file.path(base, "saved")), collapse = " ")
    expect_match(out, "refused:.*too large.*alive: TRUE")
    expect_identical(list.files(base, all.files = TRUE, no.. = TRUE), character(0))
})

test_that("a process that dies while it writes leaves nothing under the name", {
    skip_on_os("windows")
    skip_on_cran()
    base <- withr::local_tempdir()
    out <- paste(save_without_space("", file.path(base, "saved")), collapse = " ")
    expect_false(grepl("alive", out))
    expect_false(file.exists(file.path(base, "saved")))
    # What it left does not stand in the way.
    loaded <- load_posterior(save_posterior(io_posterior(), file.path(base, "saved")))
    expect_s4_class(loaded, "Posterior")
})

# What is broken ------------------------------------------------------------------------------------------------------

expect_bad <- function(dir, message = NULL) {
    expect_error(load_posterior(dir), message, class = "rscvi_bad_save")
}

test_that("a file that is missing is named", {
    for (file in c("MD5SUMS", unname(posterior_files))) {
        dir <- saved()
        unlink(file.path(dir, file))
        expect_bad(dir, file)
    }
    expect_bad(file.path(withr::local_tempdir(), "nowhere"), "no folder")
    expect_bad(withr::local_tempdir(), "posterior.json")
    expect_bad(withr::local_tempfile(lines = "a file"), "no folder")
    expect_error(load_posterior(NULL), class = "rscvi_invalid_argument")
})

test_that("a file that was cut short is named, wherever it was cut", {
    dir <- saved()
    for (file in file.path(dir, c("MD5SUMS", posterior_files))) {
        bytes <- read_bytes(file)
        # Without its last line end, MD5SUMS still says everything.
        last <- length(bytes) - if (basename(file) == "MD5SUMS") 2 else 1
        for (n in unique(c(0, 1, 7, 8, 9, 100, floor(length(bytes) * c(0.3, 0.6, 0.9)), last))) {
            writeBin(utils::head(bytes, n), file)
            expect_bad(dir, if (basename(file) != "MD5SUMS") basename(file))
        }
        writeBin(c(bytes, as.raw(32)), file)
        if (basename(file) != "MD5SUMS") expect_bad(dir, basename(file))
        writeBin(bytes, file)
    }
    expect_s4_class(load_posterior(dir), "Posterior")
})

test_that("a byte that was changed is noticed in every file", {
    dir <- saved()
    for (file in file.path(dir, c("MD5SUMS", posterior_files))) {
        bytes <- read_bytes(file)
        at <- unique(round(seq(1, length(bytes), length.out = 40)))
        # The line ends and blanks of the sums are not what they say.
        if (basename(file) == "MD5SUMS") at <- c(1, 10, 32, 40, 60, 90)
        for (k in at) {
            changed <- bytes
            changed[k] <- xor(changed[k], as.raw(1))
            writeBin(changed, file)
            expect_bad(dir)
        }
        writeBin(bytes, file)
    }
    expect_s4_class(load_posterior(dir), "Posterior")
})

test_that("a newer format is told from a broken one", {
    dir <- saved()
    forge_description(dir, '"format_version": 1', '"format_version": 2')
    expect_bad(dir, "format 2")
    expect_error(load_posterior(dir), "newer rscvi")
    # Also when its files are others.
    unlink(file.path(dir, c("MD5SUMS", "dataset.safetensors")))
    expect_bad(dir, "format 2")
    for (version in c("0", "1.5", "\"1\"", "null", "[1, 2]", "1e400")) {
        dir <- saved()
        forge_description(dir, '"format_version": 1', paste0('"format_version": ', version))
        expect_bad(dir, "posterior.json")
    }
    dir <- saved()
    forge_description(dir, "rscvi posterior", "rscvi model")
    expect_bad(dir, "posterior.json")
})

test_that("a folder of scvi in Python is told from a broken one", {
    dir <- withr::local_tempdir()
    writeLines("Posterior", file.path(dir, "posterior_type.txt"))
    expect_bad(dir, "Python")
})

test_that("a description that fits its checksum, but not the rest, is refused before the core sees it", {
    dir <- saved()
    sound <- read_bytes(file.path(dir, "posterior.json"))
    forged <- function(pattern, replacement) {
        writeBin(sound, file.path(dir, "posterior.json"))
        forge_description(dir, pattern, replacement)
        expect_bad(dir)
    }
    forged('"indices": \\[7', '"indices": [41')
    forged('"indices": \\[7', '"indices": [0')
    forged('"indices": \\[7', '"indices": [1.5')
    forged('"indices": \\[7', '"indices": ["7"')
    forged('"indices": \\[7', '"indices": [null')
    forged('"class": "Posterior"', '"class": "numeric"')
    forged('"class": "Posterior"', '"class": "nothing"')
    forged('"class": "VAE"', '"class": "sum"')
    forged('"class": "VAE"', '"class": "SCVIModel"')
    forged('"class": "VAE"', '"class": "Posterior"')
    forged('"n_hidden": 8', '"n_hidden": 9')
    forged('"n_hidden": 8', '"n_hidden": -8')
    forged('"n_hidden": 8', '"n_hidden": null')
    forged('"n_hidden": 8', '"n_hidden": "8"')
    forged('"n_hidden": 8', '"n_horror": 8')
    forged('"n_batch": 2', '"n_batch": 3')
    forged('"dispersion": "gene"', '"dispersion": "gene-cell"')
    forged('"batch_size": 5', '"batch_size": 0')
    forged('"batch_size": 5', '"sampler": 1')
    forged('"shuffle": false', '"shuffle": 2')
    forged('"use_cuda": null', '"use_cuda": "yes"')
    forged('"n_genes": 12', '"n_genes": 13')
    forged('"n_genes": 12', '"n_genes": 11')
    forged('"n_cells": 40', '"n_cells": 41')
    forged('"genes": \\["g1"', '"genes": ["g2"')
    forged('"tensor": "counts/i"', '"tensor": "batch"')
    forged('"tensor": "counts/i"', '"tensor": "nothing"')
    forged('"tensor": "counts/p"', '"tensor": "labels"')
    forged('"tensor": "counts/x"', '"tensor": "counts/p"')
    forged('"tensor": "corrupted/x"', '"tensor": "batch"')
    forged('"tensor": "batch"', '"tensor": "cell_data/whole"')  # has NA and negative codes
    forged('"tensor": "labels"', '"tensor": "local_means"')
    forged('"tensor": "local_vars"', '"tensor": "cell_data/real"')
    forged('"strings": \\["9","10"\\]', '"strings": ["9"]')  # fewer levels than codes
    forged('"strings": \\["9","10"\\]', '"strings": ["9","9"]')
    forged('"strings": \\["ordered","factor"\\]', '"strings": ["ordered","danger"]')
    forged('"type": "integer"', '"type": "closure"')
    forged('"type": "integer"', '"type": "character"')
    forged('"strings_of": "cells"', '"strings_of": "genes"')
    forged('"nrow": 40', '"nrow": 41')
    forged('^\\{', '[')
    forged('"dataset": \\{', '"dataset": null, "more": {')
})

test_that("no change of the description does more than being refused", {
    dir <- saved(io_posterior(small_dataset()))
    file <- file.path(dir, "posterior.json")
    bytes <- read_bytes(file)
    withr::local_seed(1)
    for (k in sample(length(bytes), 60)) {
        changed <- bytes
        changed[k] <- as.raw(sample(0:255, 1))
        writeBin(changed, file)
        forge_checksums(dir)
        loaded <- tryCatch(load_posterior(dir), rscvi_bad_save = function(e) NULL)
        # What was in a name may be anything.
        if (!is.null(loaded)) expect_true(is.finite(elbo(loaded, seed = 1)))
    }
})

test_that("counts that fit their checksum, but point outside, are refused before the core sees them", {
    dir <- saved(io_posterior(small_dataset()))
    file <- file.path(dir, "dataset.safetensors")
    sound <- lapply(read_safetensors(file), function(x) if (all(x == floor(x))) as.integer(x) else x)
    tensors <- function(edit) {
        values <- edit(sound)
        tensors_write_cpp(file, values, vector("list", length(values)))
        forge_checksums(dir)
        dir
    }
    expect_s4_class(load_posterior(tensors(identity)), "Posterior")
    change <- function(name, at, value) {
        tensors(function(x) {
            x[[name]][at] <- value
            x
        })
    }
    expect_bad(change("counts/i", 1, 12L))
    expect_bad(change("counts/i", 1, -1L))
    expect_bad(change("counts/i", 2, 0L))
    expect_bad(change("counts/p", 2, 10000L))
    expect_bad(change("counts/p", 1, 1L))
    expect_bad(change("counts/p", 61, 3L))
    expect_bad(change("counts/x", 1, -1L), "negative")
    expect_bad(change("counts/x", 1, 0.5), "fractional")
    expect_bad(change("counts/x", 1, NaN), "not finite")
    expect_bad(change("batch", 1, 3L))
    expect_bad(change("labels", 1, 0L))
    expect_bad(change("batch", 1, NA))
    expect_bad(change("local_vars", 1, 0))
    expect_bad(tensors(function(x) x[names(x) != "labels"]))
})

test_that("corrupted counts that are none are refused", {
    dir <- saved(Posterior(small_model(small_dataset()), corrupt(small_dataset(), seed = 1)))
    file <- file.path(dir, "dataset.safetensors")
    values <- lapply(read_safetensors(file), function(x) if (all(x == floor(x))) as.integer(x) else x)
    values[["corrupted/x"]][1] <- -1L
    tensors_write_cpp(file, values, vector("list", length(values)))
    forge_checksums(dir)
    expect_bad(dir, "negative")
})

test_that("the checksums are those of md5sum", {
    skip_if(!nzchar(Sys.which("md5sum")), "no md5sum here")
    withr::local_dir(saved())
    expect_identical(system2("md5sum", c("-c", "--status", "MD5SUMS")), 0L)
})
