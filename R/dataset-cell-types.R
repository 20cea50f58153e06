# Cell types (the levels of the labels): keep, merge, rename, reorder.

#' Keep, merge, rename and reorder cell types
#'
#' Each function returns a new data set and leaves `x` as it is.
#'
#' * `filter_cell_types()`: keeps the cells of these types; the library-size prior is computed anew.
#' * `merge_cell_types()`: gives several types one name.
#' * `map_cell_types()`: gives each type in the names of `map` the name that is its value; types with the same value are
#'   merged, others stay as they are.
#' * `reorder_cell_types()`: `new_order` first, then the others in their order. The codes that a model sees follow.
#'
#' A merged type takes the place of the first of its members.
#'
#' @param x a [GeneExpressionDataset-class] object.
#' @param cell_types,new_order cell types: names or 1-based codes (positions in `cell_types(x)`).
#' @param new_cell_type_name one string.
#' @param map a named character vector (or list of strings): `c("old name" = "new name")`.
#' @return A [GeneExpressionDataset-class] object.
#' @section Errors: `rscvi_invalid_argument` for cell types that do not exist; the error names those that do.
#'
#' @examples
#' counts <- matrix(rpois(50 * 30, lambda = 2), nrow = 50)
#' dataset <- GeneExpressionDataset(counts, labels = rep(c("B", "CD4 T", "CD8 T"), 10))
#' filter_cell_types(dataset, "B")
#' merge_cell_types(dataset, c("CD4 T", "CD8 T"), "T")
#' map_cell_types(dataset, c(B = "lymphocyte", "CD4 T" = "lymphocyte"))
#' cell_types(reorder_cell_types(dataset, "CD8 T"))
#' @name dataset-cell-types
NULL

#' @rdname dataset-cell-types
#' @export
filter_cell_types <- function(x, cell_types) {
    types <- check_cell_types(x, cell_types, "cell_types")
    cells <- which(x@labels %in% types)
    # Levels that are left out on purpose need no message.
    subset_dataset(x, cells = cells, labels = droplevels(x@labels[cells]))
}

#' @rdname dataset-cell-types
#' @export
merge_cell_types <- function(x, cell_types, new_cell_type_name) {
    types <- check_cell_types(x, cell_types, "cell_types")
    check_string(new_cell_type_name, "new_cell_type_name")
    rename_cell_types(x, types, rep(new_cell_type_name, length(types)))
}

#' @rdname dataset-cell-types
#' @export
map_cell_types <- function(x, map) {
    check_class(x, "x", "GeneExpressionDataset")
    values <- if (is.list(map)) unlist(lapply(map, check_string, arg = "map")) else map
    if (!is.character(values) || is.null(names(map)) || anyNA(values)) {
        abort_rscvi(c("{.arg map} must be a named character vector, not {describe_value(map)}.",
            i = "For example {.code c(\"old name\" = \"new name\")}."))
    }
    types <- check_cell_types(x, names(map), "map")
    rename_cell_types(x, types, unname(values))
}

#' @rdname dataset-cell-types
#' @export
reorder_cell_types <- function(x, new_order) {
    types <- check_cell_types(x, new_order, "new_order")
    relabel(x, factor(x@labels, levels = union(types, levels(x@labels))))
}

# Names or codes -> names, each once.
check_cell_types <- function(x, cell_types, arg) {
    check_class(x, "x", "GeneExpressionDataset")
    known <- levels(x@labels)
    if (is.factor(cell_types)) cell_types <- as.character(cell_types)
    found <- if (is.character(cell_types)) match(cell_types, known) else match(cell_types, seq_along(known))
    if (length(cell_types) == 0L || !is.atomic(cell_types) || anyNA(found)) {
        unknown <- if (is.atomic(cell_types) && length(cell_types)) cell_types[is.na(found)][1L] else cell_types
        abort_rscvi(c("{.arg {arg}} must hold names or codes of cell types; {describe_value(unknown)} is none.",
            i = "Cell types: {.val {known}}."))
    }
    if (anyDuplicated(found)) {
        abort_rscvi("{.arg {arg}} names {.val {known[found[duplicated(found)][1L]]}} more than once.")
    }
    known[found]
}

rename_cell_types <- function(x, old, new) {
    names <- levels(x@labels)
    names[match(old, names)] <- new
    labels <- x@labels
    levels(labels) <- names
    relabel(x, labels)
}

# The core's view holds the labels too: it is built anew.
relabel <- function(x, labels) {
    x@labels <- labels
    x@cache <- new.env(parent = emptyenv())
    methods::validObject(x)
    x
}
