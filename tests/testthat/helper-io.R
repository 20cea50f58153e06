# A posterior in which everything that is saved is unusual, folders of saved ones, and what must be equal after loading.

io_counts <- function() {
    counts <- withr::with_seed(3, {
        matrix(as.numeric(stats::rnbinom(12 * 40, mu = 2, size = 1)), 12,
            dimnames = list(paste0("g", 1:12), paste0("cell ", 40:1, "-\u00e9\"\\")))
    })
    counts[, c(4, 17)] <- 0
    counts[1, 1:3] <- c(300, 70000, 3e9)
    counts
}

# Two cells without counts; labels whose levels are neither sorted nor in order of appearance; an ordered factor; stored
# zeros; corrupted counts; proteins; columns of every kind.
io_dataset <- function(corrupted = TRUE) {
    counts <- as_dgc(io_counts())
    counts@x[5] <- 0
    n <- ncol(counts)
    columns <- S4Vectors::DataFrame(
        text = c(NA, "NA", "", "a\tb\n", rep("\u4e2d\u6587 \U0001F9EC", n - 4)),
        real = c(NA, NaN, Inf, -0, 5e-324, 1 / 3, rep(2, n - 6)),
        whole = c(NA, -5L, 2147483647L, seq_len(n - 3)), flag = c(NA, rep(c(TRUE, FALSE), length.out = n - 1)),
        date = as.Date("2020-02-29") + seq_len(n), time = .POSIXct(1e9 + 0.5 + seq_len(n), tz = "Asia/Tokyo"),
        span = as.difftime(seq_len(n), units = "mins"), runs = S4Vectors::Rle(rep(c("x", "y"), n / 2)),
        kind = factor(rep(c("b", NA), n / 2), levels = c("unused", "b", "a"))
    )
    columns[["named"]] <- stats::setNames(seq_len(n) / 7, colnames(counts))
    columns[["table"]] <- S4Vectors::DataFrame(u = seq_len(n), v = letters[seq_len(n) %% 26 + 1])
    columns[["matrix"]] <- matrix(seq_len(3 * n) + 0.5, n, dimnames = list(NULL, c("m1", "m2", "m3")))
    columns[["list"]] <- lapply(seq_len(n), function(i) if (i %% 2) seq_len(i) else NULL)
    columns[["frame"]] <- data.frame(p = seq_len(n), q = rep(c("s", "t"), n / 2))
    S4Vectors::metadata(columns) <- list(note = "made up", nested = list(1L, list("two")))
    S4Vectors::mcols(columns) <- S4Vectors::DataFrame(unit = letters[seq_len(ncol(columns))])
    proteins <- matrix(c(-0, 5e-324, 1 / 3, 1e300, seq_len(2 * n - 4)), n, dimnames = list(NULL, c("CD3", "CD19")))
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = counts), colData = columns)
    dataset <- suppressWarnings(GeneExpressionDataset(sce,
        batch = factor(rep(c("10", "9"), n / 2), levels = c("9", "10"), ordered = TRUE),
        labels = factor(rep(c("m", "z", "z", "a"), n / 4), levels = c("z", "a", "m")),
        proteins = proteins, empty_cells = "keep"))
    if (corrupted) corrupt(dataset, rate = 0.5, corruption = "binomial", seed = 2) else dataset
}

io_model <- function(dataset, ..., seed = 1) VAE(dataset, n_hidden = 8, n_latent = 3, ..., seed = seed)

io_posterior <- function(dataset = io_dataset(), ...) {
    Posterior(io_model(dataset, ...), dataset, indices = c(7, 40:30, 7, 4, 17, 1),
        data_loader_kwargs = list(batch_size = 5))
}

# A fresh folder with a saved posterior, gone when the test ends.
saved <- function(post = io_posterior(), env = parent.frame()) {
    dir <- file.path(withr::local_tempdir(.local_envir = env), "saved")
    save_posterior(post, dir)
    dir
}

expect_same_slots <- function(object, expected, slots = setdiff(methods::slotNames(expected), c("cache", "state"))) {
    for (slot in slots) expect_identical(methods::slot(object, slot), methods::slot(expected, slot), info = slot)
}

expect_same_model <- function(object, expected) {
    expect_identical(class(object), class(expected))
    expect_same_slots(object, expected)
    expect_identical(state_dict(object), state_dict(expected))
}

expect_same_posterior <- function(object, expected) {
    expect_identical(class(object), class(expected))
    expect_same_slots(object, expected,
        c("indices", "shuffle", "use_cuda", "data_loader_kwargs", "use_corrupted", "version"))
    expect_same_slots(object@gene_dataset, expected@gene_dataset)
    expect_same_model(object@model, expected@model)
    expect_identical(elbo(object, seed = 5), elbo(expected, seed = 5))
    expect_identical(get_latent(object, give_mean = FALSE, seed = 5), get_latent(expected, give_mean = FALSE, seed = 5))
    expect_identical(get_sample_scale(object, seed = 5), get_sample_scale(expected, seed = 5))
    expect_identical(get_stats(object, seed = 5), get_stats(expected, seed = 5))
}

read_bytes <- function(file) readBin(file, "raw", file.size(file))

# The checksums of a folder in which files were changed on purpose.
forge_checksums <- function(dir) write_checksums(dir, posterior_files)

# Edits posterior.json as text, and makes the checksums fit.
forge_description <- function(dir, pattern, replacement) {
    file <- file.path(dir, "posterior.json")
    text <- read_text(file)
    changed <- sub(pattern, replacement, text, perl = TRUE)
    stopifnot(changed != text)
    writeBin(charToRaw(enc2utf8(changed)), file)
    forge_checksums(dir)
}
