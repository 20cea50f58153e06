# Tables of differential expression as a spreadsheet: one sheet a cluster.

# Path of the file to write, or NULL. Checked before the work, not after it.
check_output_file <- function(output_file, save_dir, filename) {
    if (!check_flag(output_file, "output_file")) return(NULL)
    check_string(save_dir, "save_dir")
    check_string(filename, "filename")
    if (!dir.exists(save_dir)) abort_rscvi("{.arg save_dir} is {.path {save_dir}}, which is no directory.")
    if (file.access(save_dir, 2L) != 0L) abort_rscvi("{.arg save_dir} is {.path {save_dir}}, which cannot be written to.")
    if (!requireNamespace("openxlsx", quietly = TRUE)) {
        abort_rscvi(c("{.code output_file = TRUE} needs the package openxlsx, which is not installed.",
            i = "Install it, or write the tables with {.fn write.csv}."), class = "missing_package")
    }
    file.path(save_dir, paste0("differential_expression.", filename, ".xlsx"))
}

write_cluster_xlsx <- function(tables, file) {
    if (is.null(file)) return(invisible())
    names(tables) <- sheet_names(names(tables))
    openxlsx::write.xlsx(tables, file, rowNames = TRUE, overwrite = TRUE)
}

# Spreadsheets allow 31 characters, none of \ / ? * [ ] :, no quote at either end, and no name twice (in any case).
sheet_names <- function(x) {
    longest <- 31L
    x <- gsub("[][\\\\/?*:]", "_", x)
    x <- gsub("^'+|'+$", "", x)
    x[!nzchar(x)] <- "cluster"
    x <- substr(x, 1L, longest)
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
