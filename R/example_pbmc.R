#' Real cells to try things on: blood cells with and without interferon
#'
#' 1,556 peripheral blood mononuclear cells of two lupus patients (Kang et al. 2018), sequenced on 10x Genomics'
#' droplet platform after six hours in culture, without (`ctrl`) and with (`stim`) interferon-beta. Small enough to try
#' things out on a laptop.
#'
#' Interferon changes hundreds of genes in every cell type, so the two conditions separate in any analysis that does
#' not account for them. They were separate samples too: here a "batch" is biology as well as technique. Cell types are
#' the published annotation, which comes from clustering these same counts.
#'
#' @section Provenance:
#' Measured by Kang et al. and deposited as GEO series
#' [GSE96583](https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GSE96583). The subset is the example data of the
#' Bioconductor package muscat (<https://github.com/HelenaLC/muscat>, commit 017b290b4142, `data/example_sce.rda`; the
#' package's licence is GPL-3), with every one of its cells and genes. As muscat's help page says, it leaves out
#' unassigned cells and multiplets, keeps five of eight cell types, genes with a count above 1 in more than 50 cells
#' and cells with more than 200 detected genes, and at most 100 cells of a type from each sample. Genes were cut, so
#' the sum of a cell's counts is not its whole library. The script that made the file is
#' `system.file("scripts", "make-example_pbmc.R", package = "rscvi")`.
#'
#' @return A [SingleCellExperiment::SingleCellExperiment] of 1,267 genes and 1,556 cells. Its assay `counts` is a
#'   `dgCMatrix` of raw UMI counts, with gene symbols as row names and barcodes as column names. `colData` has four
#'   factors:
#'   \describe{
#'     \item{`batch`}{condition: `ctrl` (750 cells) or `stim` (806 cells)}
#'     \item{`cell_type`}{`B cells`, `CD14+ Monocytes`, `CD4 T cells`, `CD8 T cells` or `FCGR3A+ Monocytes`}
#'     \item{`sample`}{condition and donor: `ctrl101`, `ctrl107`, `stim101` or `stim107`}
#'     \item{`donor`}{`101` or `107`}
#'   }
#'
#' @references
#' Kang HM, Subramaniam M, Targ S, et al. (2018) Multiplexed droplet single-cell RNA-sequencing using natural genetic
#' variation. *Nature Biotechnology* 36:89-94. \doi{10.1038/nbt.4042}
#'
#' @examples
#' sce <- example_pbmc()
#' sce
#' table(sce$cell_type, sce$batch)
#'
#' # ISG15, an interferon-stimulated gene: mean count of a cell in each condition
#' tapply(SingleCellExperiment::counts(sce)["ISG15", ], sce$batch, mean)
#' @export
example_pbmc <- function() {
    parts <- readRDS(system.file("extdata", "example_pbmc.rds", package = "rscvi", mustWork = TRUE))
    counts <- Matrix::sparseMatrix(
        i = parts$i, p = parts$p, x = as.numeric(parts$x), index1 = FALSE,
        dims = c(length(parts$genes), length(parts$barcodes)),
        dimnames = list(parts$genes, parts$barcodes)
    )
    SingleCellExperiment::SingleCellExperiment(
        assays = list(counts = counts),
        colData = S4Vectors::DataFrame(parts$cells, row.names = parts$barcodes)
    )
}
