# Folders of posteriors that are broken are told from whole ones, and named.

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
