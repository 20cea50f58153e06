# Files and folders that are either whole or not there, and checks of what is read.

save_format_version <- 1L

# Where something new is to be written: nothing is there yet, and its folder is.
check_destination <- function(path, arg, what) {
    check_string(path, arg)
    path <- sub("(?<=.)/+$", "", path.expand(path), perl = TRUE)
    if (!nzchar(path)) abort_rscvi("{.arg {arg}} must name a {what}, not be empty.")
    check_absent(path)
    if (!dir.exists(dirname(path))) {
        abort_rscvi(c("The folder {.path {dirname(path)}}, in which {.path {basename(path)}} is to be, does not exist.",
            i = "Make it with {.fn dir.create}."), class = "save_failed")
    }
    path
}

check_absent <- function(path) {
    if (file.exists(path)) {
        abort_rscvi(c("{.path {path}} is there already.", i = "Save under another name, or remove it first."),
            class = "save_failed")
    }
}

# Calls write(unfinished) with another path in the same folder, and gives what is there its name when it is complete. An
# error, an interrupt or the end of the process before that leaves nothing at `path`.
write_whole <- function(path, write) {
    unfinished <- tempfile(".rscvi-saving-", tmpdir = dirname(path))
    on.exit(unlink(unfinished, recursive = TRUE, expand = FALSE))
    write(unfinished)
    # Somebody else may have made it meanwhile, and renaming would replace it.
    check_absent(path)
    change_files(file.rename(unfinished, path), path)
    invisible(path)
}

create_folder <- function(path) change_files(dir.create(path), dirname(path))

# R says why a change of files failed in a warning.
change_files <- function(change, path) {
    reason <- "for an unknown reason"
    done <- withCallingHandlers(change, warning = function(w) {
        reason <<- sub(".*reason ", "", conditionMessage(w))
        invokeRestart("muffleWarning")
    })
    if (!all(done)) {
        abort_rscvi(c("Cannot write {.path {path}}: {reason}.", i = "Give a place that you may write to."),
            class = "save_failed")
    }
}

write_text <- function(text, file) core(file_write_cpp(enc2native(file), charToRaw(enc2utf8(text))))

read_text <- function(file) rawToChar(readBin(file, "raw", file.size(file)))

# Checksums, in the form that md5sum writes and checks with `md5sum -c MD5SUMS`. They tell files that broke or were
# edited, not files that somebody forged together with their sums.
checksum_file <- "MD5SUMS"

write_checksums <- function(dir, files) {
    sums <- tools::md5sum(file.path(dir, files))
    write_text(paste0(sums, "  ", files, "\n", collapse = ""), file.path(dir, checksum_file))
}

check_checksums <- function(dir, files) {
    file <- file.path(dir, checksum_file)
    if (!file.exists(file)) bad_save("{.path {dir}} lacks the file {.file {checksum_file}}.")
    lines <- strsplit(reading(file, read_text(file)), "\n", fixed = TRUE)[[1L]]
    expected <- substr(lines, 1L, 32L)[match(files, substring(lines, 35L))]
    for (i in seq_along(files)) {
        path <- file.path(dir, files[i])
        if (!file.exists(path)) bad_save("{.path {dir}} lacks the file {.file {files[i]}}.")
        if (!identical(expected[i], unname(tools::md5sum(path)))) {
            bad_save("{.path {path}} is not as it was saved: it was cut short or changed since (its checksum differs).")
        }
    }
}

bad_save <- function(message, advice = remedies[["bad_save"]], ..., .envir = parent.frame()) {
    abort_rscvi(c(message, i = advice), class = "bad_save", ..., .envir = .envir)
}

# Whatever goes wrong while a file is read is a fault of the file.
reading <- function(file, expr) {
    tryCatch(expr, error = function(e) {
        if (inherits(e, "rscvi_bad_save")) rlang::cnd_signal(e)
        # Which may quote a file that is no text.
        reason <- iconv(conditionMessage(e), "UTF-8", "UTF-8", sub = "byte")
        bad_save(c("{.path {file}} does not hold what it should.", x = "{reason}"))
    })
}

# `about` is what a file says of itself.
check_format <- function(about, format, file) {
    if (!identical(about$format, format)) {
        bad_save("{.path {file}} does not describe a {sub('rscvi ', '', format)} of rscvi.")
    }
    version <- reading(file, check_count(about$format_version, "format_version"))
    if (version > save_format_version) {
        saved_by <- if (is.character(about$rscvi_version)) about$rscvi_version[1L] else "a later version"
        bad_save(
            "{.path {file}} has format {version}, of rscvi {saved_by}; this rscvi reads formats up to
             {save_format_version}.",
            advice = "Install a newer rscvi."
        )
    }
}
