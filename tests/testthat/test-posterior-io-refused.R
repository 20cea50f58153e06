# What cannot be saved as a posterior is refused, and a failure leaves nothing behind.

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
