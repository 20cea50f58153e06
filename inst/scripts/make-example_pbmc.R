# Makes inst/extdata/example_pbmc.rds, the data behind example_pbmc().
#
#   Rscript inst/scripts/make-example_pbmc.R SOURCE OUTPUT
#   Rscript inst/scripts/make-example_pbmc.R muscat/data/example_sce.rda inst/extdata/example_pbmc.rds
#
# SOURCE is data/example_sce.rda of the R package muscat (github.com/HelenaLC/muscat, commit 017b290b4142), or a
# folder with the same counts as text:
#   counts.mtx.gz  MatrixMarket, integers, genes x cells
#   genes.tsv      column `gene`
#   cells.tsv      columns `barcode`, `label` (cell type), `batch` (ctrl, stim), `sample` and `donor`
# The shipped file was made from such a folder.
#
# muscat's page says how that subset was cut from GEO GSE96583 (Kang et al. 2018): no unassigned cells and no
# multiplets; five of the eight cell types; genes with a count above 1 in more than 50 cells; cells with more than 200
# detected genes; at most 100 cells for each cell type and sample. At the commit above it holds two donors (101, 107),
# each without (ctrl) and with (stim) interferon-beta: four samples, 1,556 cells, 1,267 genes. Nothing is cut here.

library(Matrix)

as_counts <- function(x) methods::as(methods::as(x, "CsparseMatrix"), "dMatrix")

read_rda <- function(file) {
    env <- new.env()
    load(file, envir = env)
    sce <- env[[ls(env)[1L]]]
    sample <- as.character(sce$sample_id)
    list(
        counts = as_counts(SummarizedExperiment::assay(sce, "counts")),
        genes = rownames(sce), barcodes = colnames(sce), cell_type = as.character(sce$cluster_id),
        batch = as.character(sce$group_id), sample = sample, donor = sub("^(ctrl|stim)", "", sample)
    )
}

read_folder <- function(folder) {
    table <- function(name) read.delim(file.path(folder, name), colClasses = "character", quote = "")
    cells <- table("cells.tsv")
    list(
        counts = as_counts(readMM(gzfile(file.path(folder, "counts.mtx.gz")))),
        genes = table("genes.tsv")$gene, barcodes = cells$barcode, cell_type = cells$label,
        batch = cells$batch, sample = cells$sample, donor = cells$donor
    )
}

main <- function(source, output) {
    input <- if (dir.exists(source)) read_folder(source) else read_rda(source)
    stopifnot(
        nrow(input$counts) == length(input$genes), !anyDuplicated(input$genes),
        ncol(input$counts) == length(input$barcodes), !anyDuplicated(input$barcodes),
        input$counts@x > 0, input$counts@x == round(input$counts@x)
    )
    # Plain vectors, not a dgCMatrix or a SingleCellExperiment: the file then needs no package, and no version of a
    # package, to be read. Whole numbers as integers take half the space.
    parts <- list(
        i = input$counts@i, p = input$counts@p, x = as.integer(input$counts@x),
        genes = input$genes, barcodes = input$barcodes,
        cells = data.frame(
            batch = factor(input$batch, levels = c("ctrl", "stim")),
            cell_type = factor(input$cell_type),
            sample = factor(input$sample),
            donor = factor(input$donor)
        )
    )
    saveRDS(parts, output, version = 2L, compress = "xz")
    message(sprintf("%s: %d genes x %d cells, %.2f MB", output, length(parts$genes), length(parts$barcodes),
        file.size(output) / 1e6))
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 2L) stop("usage: Rscript make-example_pbmc.R SOURCE OUTPUT")
main(arguments[[1L]], arguments[[2L]])
