# Makes the data of the slower tests on real cells: tests/realdata/pbmc3k.rds, worm_l2.rds, cbmc_cite.rds and
# zeisel_subset.rds. README.md says what they are. They also use example_pbmc(), which the package has.
#
#   Rscript tests/realdata/make-realdata.R SOURCE OUTPUT
#
# SOURCE holds the folders pbmc3k, worm_l2, cbmc_cite and zeisel_subset, each with
#   counts.mtx.gz     MatrixMarket, integers, genes x cells
#   genes.tsv         column `gene`
#   cells.tsv         columns `barcode`, `label` (NA where there is none), `batch`
#   proteins_clr.tsv  (cbmc_cite alone) `barcode` and one column a protein
# which are the counts, names and annotation of the R objects that README.md names, written as text.

suppressPackageStartupMessages(library(Matrix))

n_variable_genes <- 2000L
n_cite_genes <- 500L  # 2,000 genes of 8,617 cells would be 3 MB; 500 say enough of who is near to whom
n_cortex_genes <- 600L

read_folder <- function(folder) {
    table <- function(name) {
        read.delim(file.path(folder, name), colClasses = "character", quote = "", na.strings = "NA")
    }
    connection <- gzfile(file.path(folder, "counts.mtx.gz"))
    counts <- methods::as(methods::as(readMM(connection), "CsparseMatrix"), "dMatrix")
    cells <- table("cells.tsv")
    proteins <- if (file.exists(file.path(folder, "proteins_clr.tsv"))) read_proteins(table("proteins_clr.tsv"), cells)
    dimnames(counts) <- list(table("genes.tsv")$gene, cells$barcode)
    stopifnot(!anyDuplicated(rownames(counts)), !anyDuplicated(colnames(counts)), counts@x == round(counts@x))
    c(list(
        counts = counts,
        batch = factor(cells$batch),
        labels = if (all(is.na(cells$label))) NULL else factor(cells$label)
    ), if (!is.null(proteins)) list(proteins = proteins))
}

# Cells x proteins, as numbers.
read_proteins <- function(values, cells) {
    stopifnot(identical(values$barcode, cells$barcode))
    matrix(as.numeric(as.matrix(values[-1L])), nrow(values), dimnames = list(values$barcode, names(values)[-1L]))
}

# The genes whose counts vary most over cells, in the order of the source. Sums of whole numbers: exact.
keep_variable_genes <- function(data, n) {
    n_cells <- ncol(data$counts)
    variance <- (rowSums(data$counts^2) - rowSums(data$counts)^2 / n_cells) / (n_cells - 1)
    data$counts <- data$counts[sort(order(-variance)[seq_len(n)]), ]
    data
}

save_data <- function(data, file) {
    saveRDS(data, file, version = 2L, compress = "xz")
    message(sprintf("%s: %d genes x %d cells, %.2f MB", file, nrow(data$counts), ncol(data$counts),
        file.size(file) / 1e6))
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 2L) stop("usage: Rscript make-realdata.R SOURCE OUTPUT")
from <- function(name) read_folder(file.path(arguments[[1L]], name))
save_data(keep_variable_genes(from("pbmc3k"), n_variable_genes), file.path(arguments[[2L]], "pbmc3k.rds"))
save_data(from("worm_l2"), file.path(arguments[[2L]], "worm_l2.rds"))
save_data(keep_variable_genes(from("cbmc_cite"), n_cite_genes), file.path(arguments[[2L]], "cbmc_cite.rds"))
save_data(keep_variable_genes(from("zeisel_subset"), n_cortex_genes), file.path(arguments[[2L]], "zeisel_subset.rds"))
