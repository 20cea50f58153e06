# Models in files, and safetensors files of others.

# The format as its specification has it, read and written with nothing of the package.
read_by_hand <- function(file) {
    bytes <- read_bytes(file)
    n <- sum(as.numeric(bytes[1:8]) * 256^(0:7))
    header <- jsonlite::fromJSON(rawToChar(bytes[8 + seq_len(n)]), simplifyVector = TRUE)
    data <- bytes[-seq_len(8 + n)]
    sizes <- c(F32 = 4, F64 = 8, I64 = 8, I32 = 4, U16 = 2, U8 = 1)
    header$tensors <- lapply(header[names(header) != "__metadata__"], function(tensor) {
        part <- data[tensor$data_offsets[1] + seq_len(diff(tensor$data_offsets))]
        size <- sizes[[tensor$dtype]]
        # Of the 8 bytes of a whole number, the lower 4 will do here.
        if (tensor$dtype == "I64") return(readBin(part, "integer", length(part) / 4, size = 4)[c(TRUE, FALSE)])
        what <- if (startsWith(tensor$dtype, "F")) "double" else "integer"
        x <- readBin(part, what, length(part) / size, size = size, signed = size > 2)
        if (length(tensor$shape) > 1) aperm(array(x, rev(tensor$shape))) else x
    })
    header$n <- n
    header
}

write_by_hand <- function(file, header, data) {
    text <- charToRaw(header)
    writeBin(c(as.raw(length(text)), raw(7), text, data), file)
}

test_that("a model comes back, with all that it was built with", {
    dataset <- small_dataset()
    for (model in list(small_model(dataset, dispersion = "gene-batch", dropout_rate = 0.1 + 0.2), VAE(7, seed = 1))) {
        file <- withr::local_tempfile()
        expect_identical(expect_invisible(save_model(model, file)), file)
        expect_same_model(load_model(file), model)
    }
})

test_that("the file is what the format's specification says, with the names and types of PyTorch", {
    model <- small_model(small_dataset(), n_layers = 2)
    file <- withr::local_tempfile()
    save_model(model, file)
    by_hand <- read_by_hand(file)
    state <- state_dict(model)
    expect_identical(by_hand$n %% 8, 0)
    expect_identical(names(by_hand$tensors), names(state))
    for (name in names(state)) expect_equal(by_hand$tensors[[name]], state[[name]], tolerance = 0, info = name)
    counters <- grepl("num_batches_tracked", names(state))
    described <- by_hand[names(state)]
    expect_true(all(vapply(described[counters], function(x) x$dtype == "I64" && length(x$shape) == 0, logical(1))))
    expect_true(all(vapply(described[!counters], function(x) x$dtype == "F32", logical(1))))
    expect_identical(lapply(described[!counters], function(x) as.integer(x$shape)),
        lapply(state[!counters], function(x) if (is.null(dim(x))) length(x) else dim(x)))
})

test_that("read_safetensors() reads what others wrote, and a state among it", {
    model <- small_model(small_dataset())
    file <- withr::local_tempfile()
    save_model(model, file)
    expect_identical(read_safetensors(file), state_dict(model))
    other <- small_model(small_dataset(), seed = 2)
    load_state_dict(other, read_safetensors(file))
    expect_identical(state_dict(other), state_dict(model))

    header <- paste0('{"b":{"shape":[2,3],"data_offsets":[8,20],"dtype":"U16"},"a \\u00e9":{"dtype":"F64","shape":[],',
        '"data_offsets":[0,8]},"none":{"dtype":"F32","shape":[0,4],"data_offsets":[20,20]},"__metadata__":{"k":"v"}}')
    write_by_hand(file, header, c(writeBin(1 / 3, raw()), writeBin(1:6, raw(), size = 2)))
    expect_identical(read_safetensors(file), list(
        b = matrix(as.numeric(1:6), 2, byrow = TRUE), "a \u00e9" = 1 / 3, none = matrix(numeric(0), 0, 4)
    ))
    expect_error(load_model(file), "read_safetensors", class = "rscvi_bad_save")
})

test_that("an array of three dimensions is read in the right order", {
    file <- withr::local_tempfile()
    write_by_hand(file, '{"a":{"dtype":"U8","shape":[2,3,4],"data_offsets":[0,24]}}', as.raw(0:23))
    a <- read_safetensors(file)$a
    expect_identical(dim(a), c(2L, 3L, 4L))
    expect_identical(c(a[1, 1, 2], a[1, 2, 1], a[2, 1, 1], a[2, 3, 4]), c(1, 4, 12, 23))
})

test_that("a file that is there is not replaced, and one that cannot be written leaves nothing", {
    model <- VAE(5, n_hidden = 4, seed = 1)
    base <- withr::local_tempdir()
    file <- file.path(base, "file")
    writeLines("mine", file)
    expect_error(save_model(model, file), class = "rscvi_save_failed")
    expect_error(save_model(model, base), class = "rscvi_save_failed")
    expect_error(save_model(model, file.path(base, "no", "file")), class = "rscvi_save_failed")
    expect_error(save_model(model, file.path(base, strrep("x", 300))), class = "rscvi_save_failed")
    expect_error(save_model(model, 1), class = "rscvi_invalid_argument")
    expect_error(save_model(1, file.path(base, "new")), class = "rscvi_invalid_argument")
    expect_identical(readLines(file), "mine")
    expect_identical(list.files(base, all.files = TRUE, no.. = TRUE), "file")
})

test_that("files that are no models are refused by name", {
    base <- withr::local_tempdir()
    file <- file.path(base, "model")
    for (read in list(load_model, read_safetensors)) {
        expect_error(read(file), "model", class = "rscvi_bad_save")
        expect_error(read(base), class = "rscvi_bad_save")
        expect_error(read(NA), class = "rscvi_invalid_argument")
    }
    save_model(VAE(5, n_hidden = 4, seed = 1), file)
    bytes <- read_bytes(file)
    for (n in c(0, 7, 8, 200, length(bytes) - 1)) {
        writeBin(bytes[seq_len(n)], file)
        for (read in list(load_model, read_safetensors)) expect_error(read(file), "model", class = "rscvi_bad_save")
    }
    forged <- function(pattern, replacement) {
        # Of the same length: the header's is not changed.
        stopifnot(nchar(pattern) == nchar(replacement))
        changed <- bytes
        at <- regexpr(pattern, rawToChar(bytes[9:3000][bytes[9:3000] != 0]), fixed = TRUE) + 8
        changed[at + seq_len(nchar(pattern)) - 1] <- charToRaw(replacement)
        writeBin(changed, file)
        expect_error(load_model(file), class = "rscvi_bad_save")
    }
    forged('\\"n_hidden\\": 4', '\\"n_hidden\\": 5')
    forged('\\"format_version\\": 1', '\\"format_version\\": 2')
    forged("rscvi model", "other model")
    forged('\\"VAE\\"', '\\"sum\\"')
    forged('"px_r"', '"px_s"')
    forged('"F32"', '"F16"')
})
