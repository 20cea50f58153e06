# The data set's constructor, accessors and validity.

numbers <- reference("_common")$dataset
reference_counts <- t(numbers$X_cells_by_genes)
dimnames(reference_counts) <- list(paste0("g", 0:11), paste0("c", 0:29))

test_that("the library prior is that of scvi 0.6.8, also with an empty cell", {
    expect_warning(
        dataset <- GeneExpressionDataset(reference_counts, numbers$batch, numbers$label_raw, empty_cells = "keep"),
        class = "rscvi_empty_cells"
    )
    expect_close(local_means(dataset), c(numbers$local_means), 1e-6)
    expect_close(local_vars(dataset), c(numbers$local_vars), 1e-6)
    expect_identical(as.integer(labels(dataset)), as.integer(numbers$labels_remapped) + 1L)
    expect_identical(cell_types(dataset), c("1", "3", "5"))
    expect_identical(as.integer(batch_indices(dataset)), numbers$batch + 1L)
    expect_identical(dim(dataset), c(12L, 30L))

    expect_message(
        dropped <- GeneExpressionDataset(reference_counts, numbers$batch, empty_cells = "drop"),
        class = "rscvi_empty_cells"
    )
    expect_identical(nb_cells(dropped), numbers$after_filter_cells.nb_cells)
    expect_close(local_means(dropped), c(numbers$after_filter_cells.local_means), 1e-6)
})

test_that("the library prior is its formula, in single precision", {
    dataset <- GeneExpressionDataset(toy, toy_batch)
    s <- log(colSums(toy))
    single <- function(x) readBin(writeBin(x, raw(), size = 4), "numeric", length(x), size = 4)
    means <- tapply(s, toy_batch, mean)
    vars <- tapply(s, toy_batch, function(v) mean((v - mean(v))^2))
    prior <- library_prior(dataset)
    expect_identical(prior$mean, single(as.numeric(means)))
    expect_identical(prior$var, single(as.numeric(vars)))
    expect_identical(prior$n_cells, c(8L, 8L, 8L))
    expect_identical(as.character(prior$batch), c("b1", "b2", "b3"))
    expect_identical(local_means(dataset), single(as.numeric(means[toy_batch])))
    expect_identical(local_vars(dataset), single(as.numeric(vars[toy_batch])))
})

test_that("every container gives the same data set", {
    expected <- GeneExpressionDataset(toy, toy_batch, toy_labels)
    same <- function(dataset) {
        expect_identical(counts(dataset), counts(expected))
        expect_identical(batch_indices(dataset), batch_indices(expected))
        expect_identical(labels(dataset), labels(expected))
        expect_identical(library_prior(dataset), library_prior(expected))
    }
    expect_identical(as.matrix(counts(expected)), toy)
    integers <- toy
    storage.mode(integers) <- "integer"
    columns <- data.frame(batch = toy_batch, type = toy_labels)
    for (x in list(integers, as_dgc(toy), methods::as(as_dgc(toy), "TsparseMatrix"),
        methods::as(as_dgc(toy), "RsparseMatrix"), methods::as(toy, "dMatrix"))) {
        same(GeneExpressionDataset(x, toy_batch, toy_labels))
        sce <- SingleCellExperiment::SingleCellExperiment(list(counts = x), colData = columns)
        same(GeneExpressionDataset(sce, "batch", "type"))
    }
    se <- SummarizedExperiment::SummarizedExperiment(list(umi = toy), colData = columns)
    same(GeneExpressionDataset(se, "batch", toy_labels, assay.type = "umi"))
})

test_that("a delayed matrix gives the same data set", {
    skip_if_not_installed("DelayedArray")
    delayed <- DelayedArray::DelayedArray(toy) * 1
    expect_identical(counts(GeneExpressionDataset(delayed)), counts(GeneExpressionDataset(toy)))
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = delayed))
    expect_identical(counts(GeneExpressionDataset(sce)), counts(GeneExpressionDataset(toy)))
})

test_that("a Seurat object gives the same data set", {
    skip_if_not_installed("SeuratObject")
    seurat <- suppressWarnings(SeuratObject::CreateSeuratObject(as_dgc(toy)))
    seurat$batch <- toy_batch
    seurat$type <- toy_labels
    expected <- GeneExpressionDataset(toy, toy_batch, toy_labels)
    dataset <- GeneExpressionDataset(seurat, "batch", "type")
    expect_identical(counts(dataset), counts(expected))
    expect_identical(batch_indices(dataset), batch_indices(expected))
    expect_identical(labels(dataset), labels(expected))
    expect_identical(cell_data(dataset)$type, toy_labels)
    expect_identical(counts(GeneExpressionDataset(seurat, toy_batch, assay = "RNA")), counts(expected))

    adt <- matrix(as.numeric(rpois(24 * 3, 20)), 3, dimnames = list(paste0("p", 1:3), colnames(toy)))
    seurat[["ADT"]] <- SeuratObject::CreateAssayObject(counts = as_dgc(adt))
    expect_identical(proteins(GeneExpressionDataset(seurat, proteins = "ADT")), t(adt))

    expect_error(GeneExpressionDataset(seurat, "nope"), "\"type\"", class = "rscvi_invalid_argument")
    expect_error(GeneExpressionDataset(seurat, assay = "SCT"), "\"RNA\"", class = "rscvi_invalid_argument")
    expect_error(GeneExpressionDataset(seurat, assay.type = "spliced"), "counts", class = "rscvi_invalid_argument")
    expect_error(GeneExpressionDataset(seurat, proteins = "CITE"), "\"ADT\"", class = "rscvi_invalid_argument")
})

test_that("the layers of a split Seurat assay are joined", {
    skip_if_not_installed("SeuratObject", "5.0.0")
    seurat <- suppressWarnings(SeuratObject::CreateSeuratObject(as_dgc(toy)))
    seurat[["RNA"]] <- split(seurat[["RNA"]], f = toy_batch)
    expect_gt(length(SeuratObject::Layers(seurat[["RNA"]])), 1L)
    expect_identical(counts(GeneExpressionDataset(seurat, toy_batch)), counts(GeneExpressionDataset(toy)))
})

test_that("a dgCMatrix is not copied, and explicit zeros do no harm", {
    x <- as_dgc(toy)
    stored <- GeneExpressionDataset(x, toy_batch)
    address <- function(vector) sub(" .*", "", utils::capture.output(.Internal(inspect(vector)))[1L])
    for (slot in c("x", "i", "p")) {
        expect_identical(address(methods::slot(counts(stored), slot)), address(methods::slot(x, slot)))
    }
    padded <- Matrix::sparseMatrix(i = rep(1:40, 24), j = rep(1:24, each = 40), x = c(toy), dimnames = dimnames(toy))
    expect_gt(length(padded@x), length(x@x))
    dataset <- GeneExpressionDataset(padded, toy_batch)
    expect_identical(library_prior(dataset), library_prior(stored))
    expect_identical(as.matrix(counts(dataset)), toy)
    expect_output(show(dataset), sprintf("%.1f %% zeros", 100 * mean(toy == 0)), fixed = TRUE)
})

test_that("names are kept, made up or made unique", {
    bare <- unname(toy)
    dataset <- GeneExpressionDataset(bare)
    expect_identical(gene_names(dataset), paste0("gene", 1:40))
    expect_identical(cell_names(dataset), paste0("cell", 1:24))
    dataset <- GeneExpressionDataset(toy, gene_names = paste0("x", 1:40), cell_names = paste0("y", 1:24))
    expect_identical(dimnames(counts(dataset)), list(paste0("x", 1:40), paste0("y", 1:24)))
    expect_identical(rownames(cell_data(dataset)), paste0("y", 1:24))
    twice <- toy
    rownames(twice)[3] <- "g1"
    expect_message(dataset <- GeneExpressionDataset(twice), "\"g1\"", class = "rscvi_duplicated_names")
    expect_identical(gene_names(dataset)[1:3], c("g1", "g2", "g1.1"))
    expect_error(GeneExpressionDataset(toy, gene_names = "a"), "gene_names.*length 1", class = "rscvi_invalid_argument")
    expect_error(GeneExpressionDataset(toy, cell_names = 1:24), "cell_names", class = "rscvi_invalid_argument")
})

test_that("batches and labels keep their levels, in their order, and lose unused ones with a message", {
    f <- factor(toy_labels, levels = c("T", "none", "B"))
    expect_message(dataset <- GeneExpressionDataset(toy, labels = f), "label.*\"none\"", class = "rscvi_unused_levels")
    expect_identical(cell_types(dataset), c("T", "B"))
    expect_identical(as.integer(labels(dataset)), rep(1:2, each = 12))
    expect_message(GeneExpressionDataset(toy, factor(toy_batch, c("b2", "b1", "b3", "b4"))), "batch.*\"b4\"")

    dataset <- GeneExpressionDataset(toy)
    expect_identical(batch_indices(dataset), factor(rep("1", 24)))
    expect_identical(labels(dataset), factor(rep("undefined", 24)))
    expect_identical(c(n_batches(dataset), n_labels(dataset)), c(1L, 1L))
    expect_identical(levels(batch_indices(GeneExpressionDataset(toy, rep(c(10, 9), 12)))), c("9", "10"))
    # In the C locale capitals come first, whatever the session's.
    expect_identical(levels(labels(GeneExpressionDataset(toy, labels = rep(c("a", "B"), 12)))), c("B", "a"))
    # Names decide where there are any.
    shuffled <- stats::setNames(toy_labels, colnames(toy))[24:1]
    expect_identical(as.character(labels(GeneExpressionDataset(toy, labels = shuffled))), toy_labels)
    expect_identical(labels(c(a = 1)), "a")
})

test_that("proteins come as a matrix or from an alternative experiment", {
    values <- matrix(runif(24 * 2), 24, dimnames = list(colnames(toy), c("CD3", "CD4")))
    expect_identical(proteins(GeneExpressionDataset(toy, proteins = values)), values)
    expect_identical(proteins(GeneExpressionDataset(toy, proteins = values[24:1, ])), values)
    expect_null(proteins(GeneExpressionDataset(toy)))
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = toy))
    SingleCellExperiment::altExp(sce, "ADT") <- SummarizedExperiment::SummarizedExperiment(list(clr = t(values)))
    expect_identical(proteins(GeneExpressionDataset(sce, proteins = "ADT")), values)
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(GeneExpressionDataset(sce, proteins = "HTO"), "proteins.*HTO.*\"ADT\"")
    refuse(GeneExpressionDataset(toy, proteins = t(values)), "t\\(proteins\\)")
    refuse(GeneExpressionDataset(toy, proteins = "ADT"), "proteins")
    stranger <- values
    rownames(stranger)[5] <- "nobody"
    refuse(GeneExpressionDataset(toy, proteins = stranger), "proteins.*\"c5\"")
})

test_that("the object is valid, survives saveRDS and prints what is in it", {
    dataset <- GeneExpressionDataset(toy, toy_batch, toy_labels)
    expect_true(validObject(dataset))
    file <- withr::local_tempfile()
    saveRDS(dataset, file)
    expect_identical(counts(readRDS(file)), counts(dataset))
    expect_identical(library_prior(readRDS(file)), library_prior(dataset))
    printed <- paste(capture.output(dataset), collapse = "\n")
    expect_match(printed, "40 genes x 24 cells")
    expect_match(printed, "batches (3): b1 8, b2 8, b3 8", fixed = TRUE)
    expect_match(printed, "labels (2): B 12, T 12", fixed = TRUE)
    expect_identical(dim(cell_data(dataset)), c(24L, 0L))

    broken <- dataset
    broken@batch <- broken@batch[-1]
    broken@corrupted <- 1
    message <- tryCatch(validObject(broken), error = conditionMessage)
    expect_match(message, "'batch' must have one element a cell")
    expect_match(message, "'corrupted' must have one value")
})
