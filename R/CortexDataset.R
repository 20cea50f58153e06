# The data set of scvi's own examples, from where Bioconductor keeps it.

#' Mouse cortex cells
#'
#' 3,005 cells of the somatosensory cortex and the hippocampus of mice, of seven published cell types: the data set that
#' scvi's documentation works with. Counts are of molecules (UMIs).
#'
#' The counts come from `ZeiselBrainData()` of the Bioconductor package scRNAseq, which downloads them once and keeps
#' them in its cache. Spike-ins (ERCC) and repeats, which are alternative experiments there, are left out. For cells
#' that need no download see [example_pbmc()].
#'
#' @param genes_to_keep `NULL`, or names of genes to have first, in this order; capitals do not matter.
#' @param total_genes number of genes, `genes_to_keep` included: the genes with the largest variance of counts over all
#'   cells fill it up, in the order of their variance. `NULL`: none but `genes_to_keep`; without those, all genes, in
#'   their order.
#' @return A [GeneExpressionDataset-class] of one batch, whose labels are the seven types (the column `level1class`).
#'   The other columns, such as the finer types `level2class`, are in its [cell_data()].
#' @section Errors: `rscvi_missing_package` if scRNAseq is not installed; `rscvi_download_failed` if the counts are
#'   neither in its cache nor can be downloaded; `rscvi_invalid_argument` for genes that do not exist.
#' @section Differences from scvi 0.6.8: the counts come from Bioconductor and not from the authors' server, so that
#'   there is no `save_path`; names of genes are as published, and not in capitals.
#' @references Zeisel A, Munoz-Manchado AB, Codeluppi S, et al. (2015) Cell types in the mouse cortex and hippocampus
#'   revealed by single-cell RNA-seq. *Science* 347:1138-1142. \doi{10.1126/science.aaa1934}
#' @seealso `system.file("scripts", "posterior_example.R", package = "rscvi")`: the example of scvi's class Posterior,
#'   which trains on these cells.
#' @examples
#' tryCatch({
#'     dataset <- CortexDataset(total_genes = 100)
#'     print(dataset)
#'     print(table(labels(dataset)))
#' }, rscvi_error = function(e) message(conditionMessage(e)))
#' @export
CortexDataset <- function(genes_to_keep = NULL, total_genes = 558) {
    # Before the download.
    if (!is.null(genes_to_keep) && (!is.character(genes_to_keep) || anyNA(genes_to_keep))) {
        abort_rscvi("{.arg genes_to_keep} must be names of genes, not {describe_value(genes_to_keep)}.")
    }
    total_genes <- check_optional(total_genes, "total_genes", check_count, lower = 1L)
    sce <- load_cortex()  # before the call: S4 dispatch would hide the class of an error in its first argument
    cortex_dataset(sce, genes_to_keep, total_genes)
}

# The SingleCellExperiment, from the cache or the network. Ensembl's locations of genes would be one more download.
load_cortex <- function(installed = requireNamespace("scRNAseq", quietly = TRUE),
                        download = function() scRNAseq::ZeiselBrainData(location = FALSE)) {
    if (!installed) {
        abort_rscvi(c("{.fn CortexDataset} needs the Bioconductor package scRNAseq, which is not installed.",
            i = "Install it with {.code BiocManager::install(\"scRNAseq\")} (Debian, Ubuntu: {.code apt-get install
                 r-bioc-scrnaseq}), or use {.fn example_pbmc}, which needs no download."), class = "missing_package")
    }
    tryCatch(download(), error = function(e) {
        abort_rscvi(c("The mouse cortex cells are not in the cache of Bioconductor, and cannot be downloaded.",
            x = "{conditionMessage(e)}",
            i = "Try again with a network; or call {.code scRNAseq::ZeiselBrainData()} where there is one, and copy its
                 cache: the folder {.code ExperimentHub::getExperimentHubOption(\"CACHE\")}, or {.code
                 gypsum::cacheDirectory()} from scRNAseq 2.18 on."), class = "download_failed")
    })
}

cortex_dataset <- function(sce, genes_to_keep, total_genes) {
    dataset <- GeneExpressionDataset(sce, labels = "level1class")
    if (is.null(genes_to_keep) && is.null(total_genes)) return(dataset)
    # scvi has all names in capitals, and so may lists of genes that were made for it.
    kept <- unique(match(toupper(genes_to_keep), toupper(gene_names(dataset))))
    if (anyNA(kept)) {
        unknown <- genes_to_keep[!toupper(genes_to_keep) %in% toupper(gene_names(dataset))]
        abort_rscvi("{.arg genes_to_keep} holds {length(unknown)} gene{?s} that {?does/do} not exist:
            {.val {utils::head(unknown, 5)}}.")
    }
    variable <- order(gene_moments(dataset@counts, seq_len(nb_cells(dataset)))$var, decreasing = TRUE)
    n_more <- max(0L, total_genes - length(kept))
    update_genes(dataset, c(kept, utils::head(setdiff(variable, kept), n_more)))
}
