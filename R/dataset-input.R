# Where the counts, cell columns and proteins of a data set are found in each kind of container.

# The one conversion to dgCMatrix. A dgCMatrix comes back as it is, not copied.
as_count_matrix <- function(x, arg = "x") {
    if (identical(as.character(class(x)), "dgCMatrix")) return(x)
    if (is.matrix(x) || methods::is(x, "Matrix")) {
        if (is.matrix(x) && !is.numeric(x) && !is.logical(x)) {
            abort_rscvi("{.arg {arg}} must hold counts, but is a matrix of type {.cls {typeof(x)}}.")
        }
        # In this order: each step changes one property (storage, symmetry, type) and exists in every version of Matrix.
        sparse <- methods::as(methods::as(methods::as(x, "CsparseMatrix"), "generalMatrix"), "dMatrix")
        return(methods::as(sparse, "dgCMatrix", strict = TRUE))
    }
    converted <- if (length(dim(x)) == 2L && !is.data.frame(x)) {
        tryCatch(methods::as(x, "dgCMatrix"), error = function(e) NULL)
    }
    if (is.null(converted)) {
        abort_rscvi(c(
            "{.arg {arg}} must hold counts (genes x cells), not {describe_value(x)}.",
            i = "Give a SingleCellExperiment, a SummarizedExperiment, a Seurat object, or a matrix (dense, of the Matrix
                 package, or with a coercion to dgCMatrix)."
        ))
    }
    converted
}

# SummarizedExperiment and SingleCellExperiment -----------------------------------------------------------------------

# Asked here, and not by method dispatch, so that their namespaces (280 MB of memory, seconds to load) are loaded when
# such an object comes along and not with this package.
is_summarized <- function(x, class = "SummarizedExperiment") {
    home <- attr(class(x), "package")
    # An object may come from a file, before the package of its class was loaded.
    if (isS4(x) && !is.null(home) && home != ".GlobalEnv") requireNamespace(home, quietly = TRUE)
    methods::is(x, class)
}

summarized_parts <- function(x, assay.type, proteins) {
    counts <- summarized_counts(x, assay.type)
    counts@Dimnames <- list(rownames(x), colnames(x))
    list(
        counts = counts, proteins = summarized_proteins(x, proteins),
        cell_data = SummarizedExperiment::colData(x), cell_data_name = "colData(x)",
        source = list(what = "assay.type", value = assay.type,
            others = setdiff(SummarizedExperiment::assayNames(x), assay.type))
    )
}

summarized_counts <- function(x, assay.type) {
    check_string(assay.type, "assay.type")
    known <- SummarizedExperiment::assayNames(x)
    if (!assay.type %in% known) {
        abort_rscvi(c("{.arg assay.type} is {.val {assay.type}}, but {.arg x} has no assay of this name.",
            i = if (length(known)) "Its assays: {.val {known}}." else "It has no named assay."))
    }
    # Without dimnames: they are set later, and setting them here would be done on every call.
    as_count_matrix(SummarizedExperiment::assay(x, assay.type, withDimnames = FALSE))
}

summarized_proteins <- function(x, proteins) {
    if (!is.character(proteins) || is.matrix(proteins)) return(proteins)
    check_string(proteins, "proteins")
    known <- if (methods::is(x, "SingleCellExperiment")) SingleCellExperiment::altExpNames(x)
    if (!proteins %in% known) {
        abort_rscvi(c("{.arg proteins} is {.val {proteins}}, but {.arg x} has no alternative experiment of this name.",
            i = if (length(known)) "Its alternative experiments: {.val {known}}." else "It has none."))
    }
    experiment <- SingleCellExperiment::altExp(x, proteins)
    if (length(SummarizedExperiment::assays(experiment)) == 0L) {
        abort_rscvi("The alternative experiment {.val {proteins}} of {.arg x} has no assay.")
    }
    # Without the cells' names: their order is that of `x`, also when other names are given for the data set.
    values <- t(as.matrix(SummarizedExperiment::assay(experiment, 1L)))
    rownames(values) <- NULL
    values
}

# Seurat --------------------------------------------------------------------------------------------------------------

# SeuratObject is only suggested, and what it exports differs between versions 4 and 5: functions are got by name.
seurat_function <- function(name) {
    if (!requireNamespace("SeuratObject", quietly = TRUE)) {
        abort_rscvi(c("{.arg x} is a Seurat object, but the package SeuratObject is not installed.",
            i = "Install it, or give its counts as a matrix."), class = "missing_package")
    }
    getExportedValue("SeuratObject", name)
}

seurat_has_layers <- function(assay) inherits(assay, "StdAssay")

seurat_assay <- function(x, name, arg) {
    check_string(name, arg)
    known <- seurat_function("Assays")(x)
    if (!name %in% known) {
        abort_rscvi(c("{.arg {arg}} is {.val {name}}, but {.arg x} has no assay of this name.",
            i = "Its assays: {.val {known}}."))
    }
    methods::slot(x, "assays")[[name]]
}

# Names of what an assay can hold counts in: layers (version 5; "counts" stands for "counts.1", "counts.2", ... of a
# split assay) or slots (version 4).
seurat_layers <- function(assay) {
    if (!seurat_has_layers(assay)) return(c("counts", "data"))
    found <- seurat_function("Layers")(assay)
    unique(c(found, sub("^(scale\\.data|[^.]+).*$", "\\1", found)))
}

seurat_layer <- function(assay, layer) {
    if (!seurat_has_layers(assay)) return(methods::slot(assay, layer))
    if (!layer %in% seurat_function("Layers")(assay)) assay <- seurat_function("JoinLayers")(assay, layers = layer)
    seurat_function("LayerData")(assay, layer = layer)
}

seurat_parts <- function(x, assay, assay.type, proteins) {
    check_string(assay.type, "assay.type")
    if (is.null(assay)) assay <- seurat_function("DefaultAssay")(x)
    container <- seurat_assay(x, assay, "assay")
    layers <- seurat_layers(container)
    if (!assay.type %in% layers) {
        abort_rscvi(c(
            "{.arg assay.type} is {.val {assay.type}}, but assay {.val {assay}} of {.arg x} has no such layer.",
            i = "Its layers: {.val {layers}}."
        ))
    }
    counts <- as_count_matrix(seurat_layer(container, assay.type))
    if (length(counts) == 0L) {
        abort_rscvi(c("Layer {.val {assay.type}} of assay {.val {assay}} of {.arg x} is empty.",
            i = "Name another assay with {.arg assay}, or give the raw counts as a matrix."))
    }
    # The order is that of the object: joining layers may change it, and an assay of version 5 may lack some cells.
    meta <- methods::slot(x, "meta.data")
    cells <- intersect(rownames(meta), colnames(counts))
    if (!identical(cells, colnames(counts))) counts <- counts[, cells, drop = FALSE]
    list(
        counts = counts, proteins = seurat_proteins(x, proteins, cells),
        cell_data = meta[cells, , drop = FALSE], cell_data_name = "the meta data of x",
        source = list(what = "assay.type", value = assay.type, others = setdiff(layers, assay.type))
    )
}

seurat_proteins <- function(x, proteins, cells) {
    if (!is.character(proteins) || is.matrix(proteins)) return(proteins)
    container <- seurat_assay(x, proteins, "proteins")
    layer <- if ("data" %in% seurat_layers(container)) "data" else "counts"
    values <- seurat_layer(container, layer)
    at <- match(cells, colnames(values))
    if (anyNA(at)) {
        abort_rscvi("Assay {.val {proteins}} of {.arg x} (argument {.arg proteins}) lacks {sum(is.na(at))} cell{?s},
                     first {.val {cells[is.na(at)][1L]}}.")
    }
    values <- t(as.matrix(values[, at, drop = FALSE]))
    rownames(values) <- NULL
    values
}

# Columns of the cells ------------------------------------------------------------------------------------------------

# A name stands for the column of that name; anything else is what it is.
cell_column <- function(value, arg, columns, where) {
    n_cells <- if (is.null(columns)) NA_integer_ else nrow(columns)
    if (is.null(columns) || !is.character(value) || length(value) != 1L || is.na(value) || identical(n_cells, 1L)) {
        return(value)
    }
    if (!value %in% colnames(columns)) {
        known <- colnames(columns)
        abort_rscvi(c("{.arg {arg}} is {.val {value}}, but {where} has no column of this name.",
            i = if (length(known)) "Its columns: {.val {known}}." else "It has no columns."))
    }
    unname(columns[[value]])
}
