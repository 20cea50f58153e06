# The expected numbers were counted in the text file that the data came from, line by line, without any matrix class.

test_that("example_pbmc is a SingleCellExperiment of the documented size", {
    sce <- example_pbmc()
    expect_s4_class(sce, "SingleCellExperiment")
    expect_identical(dim(sce), c(1267L, 1556L))
    expect_identical(SummarizedExperiment::assayNames(sce), "counts")
    expect_s4_class(SingleCellExperiment::counts(sce), "dgCMatrix")
    expect_true(methods::validObject(SingleCellExperiment::counts(sce)))
})

test_that("example_pbmc's counts are those of the source", {
    sce <- example_pbmc()
    counts <- SingleCellExperiment::counts(sce)
    expect_length(counts@x, 585251L)
    expect_identical(sum(counts@x^2), 165058578)
    expect_identical(range(counts@x), c(1, 1891))
    expect_true(all(counts@x == round(counts@x)))

    # The first and last entries of the file, the largest, and some from the middle.
    expect_identical(counts["ISG15", "ATCATGCTGCGTAT-1"], 2)
    expect_identical(counts["HES4", "ATCATGCTGCGTAT-1"], 0)
    expect_identical(counts["PRMT2", "GAATGGCTAAACAG-1"], 1)
    expect_identical(counts["HBB", "AATGGCTGTGGTTG-1"], 1891)
    expect_identical(counts["RPL4", "CGCAAATGGCGAGA-1"], 2)
    expect_identical(counts["SQSTM1", "GCGAGCACTGAACC-1"], 2)
    expect_identical(counts["ANXA2", "TACGATCTAATGCC-1"], 1)

    cell_totals <- Matrix::colSums(counts)
    expect_identical(sum(cell_totals[sce$batch == "ctrl"]), 1079793)
    expect_identical(sum(cell_totals[sce$batch == "stim"]), 1258603)
    expect_identical(
        c(tapply(cell_totals, sce$cell_type, sum)),
        c("B cells" = 285540, "CD14+ Monocytes" = 905241, "CD4 T cells" = 392245, "CD8 T cells" = 174617,
            "FCGR3A+ Monocytes" = 580753)
    )
    by_batch <- function(gene) c(tapply(counts[gene, ], sce$batch, sum))
    expect_identical(by_batch("CXCL10"), c(ctrl = 178, stim = 23294))
    expect_identical(by_batch("LYZ"), c(ctrl = 1923, stim = 2369))
})

test_that("example_pbmc's genes and cells have unique names and the documented annotation", {
    sce <- example_pbmc()
    expect_identical(rownames(sce)[c(1:3, 1267)], c("HES4", "ISG15", "AURKAIP1", "PRMT2"))
    expect_identical(colnames(sce)[c(1, 778, 1556)], c("ATCATGCTGCGTAT-1", "CACGAAACTGATGC-1", "GAATGGCTAAACAG-1"))
    expect_false(anyDuplicated(rownames(sce)) > 0 || anyDuplicated(colnames(sce)) > 0)

    cells <- SummarizedExperiment::colData(sce)
    expect_identical(names(cells), c("batch", "cell_type", "sample", "donor"))
    expect_true(all(vapply(cells, is.factor, logical(1))))
    expect_false(anyNA(unlist(lapply(cells, as.character))))
    expect_identical(rownames(cells), colnames(sce))
    expect_identical(levels(sce$batch), c("ctrl", "stim"))
    expect_identical(
        levels(sce$cell_type),
        c("B cells", "CD14+ Monocytes", "CD4 T cells", "CD8 T cells", "FCGR3A+ Monocytes")
    )
    expect_identical(as.character(cells["CACGAAACTGATGC-1", "sample"]), "stim101")
    expect_identical(as.vector(table(sce$cell_type[sce$batch == "ctrl"])), c(144L, 200L, 200L, 94L, 112L))
    expect_identical(as.vector(table(sce$cell_type[sce$batch == "stim"])), c(154L, 200L, 200L, 115L, 137L))
    expect_identical(as.character(sce$sample), paste0(sce$batch, sce$donor))
})
