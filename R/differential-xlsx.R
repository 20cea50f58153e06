# Tables of differential expression as a spreadsheet: one sheet a cluster.

# Path of the file to write, or NULL. Checked before the work, not after it.
check_output_file <- function(output_file, save_dir, filename) {
    if (!check_flag(output_file, "output_file")) return(NULL)
    check_string(save_dir, "save_dir")
    check_string(filename, "filename")
    if (!nzchar(filename) || grepl("[/\\\\]", filename)) {
        abort_rscvi("{.arg filename} must not be empty or have a slash, as {.val {filename}}; {.arg save_dir} is the
            folder.")
    }
    if (!dir.exists(save_dir)) abort_rscvi("{.arg save_dir} is {.path {save_dir}}, which is no directory.")
    if (file.access(save_dir, 2L) != 0L) {
        abort_rscvi("{.arg save_dir} is {.path {save_dir}}, which cannot be written to.")
    }
    if (!requireNamespace("openxlsx", quietly = TRUE)) {
        abort_rscvi(c("{.code output_file = TRUE} needs the package openxlsx, which is not installed.",
            i = "Install it, or write the tables with {.fn write.csv}."), class = "missing_package")
    }
    file <- file.path(save_dir, paste0("differential_expression.", filename, ".xlsx"))
    if (dir.exists(file)) abort_rscvi("{.path {file}}, the file to write, is a folder.", class = "unwritable_file")
    file
}

write_cluster_xlsx <- function(tables, file) {
    if (is.null(file)) return(invisible())
    names(tables) <- sheet_names(names(tables))
    unfinished <- tempfile(fileext = ".xlsx")
    on.exit(unlink(unfinished))
    openxlsx::write.xlsx(tables, unfinished, rowNames = TRUE)
    # What was computed is not lost with a full disk: the error carries it.
    if (!suppressWarnings(file.copy(unfinished, file, overwrite = TRUE))) {
        abort_rscvi(c("The tables cannot be written to {.path {file}}.",
            i = "They are the element {.field tables} of this error:
                 {.code tryCatch(..., rscvi_unwritable_file = function(e) e$tables)}."),
            class = "unwritable_file", tables = tables)
    }
}

# Spreadsheets allow 31 characters, none of \ / ? * [ ] :, no quote at either end, and no name twice (in any case).
sheet_names <- function(x) {
    longest <- 31L
    x <- gsub("[][\\\\/?*:]", "_", x)
    x <- gsub("^'+|'+$", "", x)
    x[!nzchar(x)] <- "cluster"
    x <- sub("'+$", "", substr(x, 1L, longest))
    for (k in seq_along(x)[-1L]) {
        number <- 1L
        base <- x[k]
        while (tolower(x[k]) %in% tolower(x[seq_len(k - 1L)])) {
            number <- number + 1L
            ending <- paste0(" (", number, ")")
            x[k] <- paste0(substr(base, 1L, longest - nchar(ending)), ending)
        }
    }
    x
}
