# Further covariates of cells: what a data set holds of them, and what a model keeps.

# What the user gave -> a DataFrame with one row a cell, of factors (categorical) and numbers (continuous).
check_covariates <- function(x, n_cells, cell_names, columns, where) {
    none <- S4Vectors::make_zero_col_DFrame(n_cells)
    if (is.null(x)) return(none)
    if (is.character(x) && is.null(dim(x))) x <- named_covariates(x, columns, where)
    if (is.matrix(x)) x <- as.data.frame(x)
    if (!is.data.frame(x) && !methods::is(x, "DataFrame")) {
        abort_rscvi("{.arg covariates} must be names of columns, or a data.frame with one row a cell, not
            {describe_value(x)}.")
    }
    if (nrow(x) != n_cells) {
        abort_rscvi("{.arg covariates} must have one row a cell ({n_cells}), not {nrow(x)}.")
    }
    at <- if (has_row_names(x)) align_names(rownames(x), cell_names, "covariates")
    if (!is.null(at)) x <- x[at, , drop = FALSE]
    if (is.null(names(x)) || anyNA(names(x)) || !all(nzchar(names(x)))) {
        abort_rscvi("The columns of {.arg covariates} must have names.")
    }
    if (anyDuplicated(names(x))) abort_rscvi("{.arg covariates} holds {.val {names(x)[duplicated(names(x))]}} twice.")
    for (name in names(x)) none[[name]] <- check_covariate(x[[name]], name)
    none
}

has_row_names <- function(x) {
    if (is.data.frame(x)) is.character(attr(x, "row.names")) else !is.null(rownames(x))
}

named_covariates <- function(x, columns, where) {
    if (is.null(columns)) {
        abort_rscvi(c("{.arg covariates} names columns, but {.arg x} has none.",
            i = "Give a data.frame with one row a cell."))
    }
    unknown <- setdiff(x, colnames(columns))
    if (length(unknown)) {
        abort_rscvi(c("{.arg covariates} names {.val {unknown}}, but {where} has no such column{?s}.",
            i = if (ncol(columns)) "Its columns: {.val {colnames(columns)}}." else "It has no columns."))
    }
    columns[unique(x)]
}

check_covariate <- function(x, name) {
    if (methods::is(x, "Rle")) x <- S4Vectors::decode(x)
    is_value <- is.character(x) || is.logical(x) || is.factor(x) || (is.numeric(x) && !is.object(x))
    if (!is_value || !is.null(dim(x))) {
        abort_rscvi(c("Covariate {.val {name}} must hold numbers, text, logical values or a factor, not
            {describe_value(x)}.", i = "{.fn as.numeric} makes it continuous, {.fn factor} categorical."))
    }
    absent <- sum(is.na(if (is.factor(x)) as.character(x) else x))
    if (absent > 0L || (is.numeric(x) && !all(is.finite(x)))) {
        n <- if (is.numeric(x)) sum(!is.finite(x)) else absent
        abort_rscvi(c("Covariate {.val {name}} is missing or infinite for {n} of {length(x)} cells.",
            i = "Leave these cells out, or give them a value."))
    }
    if (is.numeric(x)) {
        if (max(abs(x)) > 1e30) abort_rscvi("Covariate {.val {name}} has values beyond 1e30; give it in another unit.")
        return(unname(as.numeric(x)))
    }
    n_levels <- length(unique(x))
    if (n_levels > 10L && n_levels > length(x) / 2) {
        warn_rscvi("Covariate {.val {name}} has {n_levels} levels in {length(x)} cells: a model can learn little of
            them.",
            class = "many_levels")
    }
    if (is.factor(x)) return(factor(unname(x), levels = levels(x)[levels(x) %in% x]))
    factor(unname(x), levels = sort(unique(unname(x)), method = "radix"))
}

# Of a data set's covariates, what a model that is made for it has to know: levels, or mean and standard deviation.
describe_covariates <- function(covariates) {
    if (ncol(covariates) == 0L) return(NULL)
    lapply(as.list(covariates), function(x) {
        if (is.factor(x)) return(list(levels = levels(x)))
        sd <- sqrt(mean((x - mean(x))^2))
        list(mean = mean(x), sd = if (sd > 0) sd else 1)
    })
}

report_constant_covariates <- function(covariates) {
    constant <- names(covariates)[vapply(as.list(covariates), function(x) length(unique(x)) < 2L, NA)]
    if (length(constant)) {
        inform_rscvi("Covariate{?s} {.val {constant}} {?is/are} the same in all cells: the model learns nothing of
            {?it/them}.", class = "constant_covariate")
    }
}

is_categorical <- function(described) !is.null(described$levels)

# For the glue. Categorical ones first, each kind in the order of the data set.
covariate_codes <- function(covariates) lapply(Filter(is.factor, as.list(covariates)), as.integer)
covariate_values <- function(covariates) Filter(Negate(is.factor), as.list(covariates))

# Covariates of cells that are handed in by value, as the glue takes them.
check_cell_covariates <- function(x, model, n_cells) {
    known <- model@options$covariates
    if (is.null(known)) {
        if (!is.null(x)) abort_rscvi("{.arg covariates} is given, but this model has no covariates.")
        return(list())
    }
    if (is.null(x)) {
        abort_rscvi("{.arg covariates} is needed: this model was built with {.val {names(known)}}.")
    }
    if (!is.data.frame(x) && !methods::is(x, "DataFrame")) {
        abort_rscvi("{.arg covariates} must be a data.frame with one row a cell, not {describe_value(x)}.")
    }
    if (nrow(x) != n_cells) abort_rscvi("{.arg covariates} must have one row a cell ({n_cells}), not {nrow(x)}.")
    x <- match_covariates(x, known)
    list(categorical = unname(covariate_codes(x)), continuous = unname(covariate_values(x)))
}

# The covariates that a model knows, with its levels; an error says which are not there or unknown.
match_covariates <- function(x, known) {
    missing <- setdiff(names(known), names(x))
    if (length(missing)) {
        abort_rscvi(c("The model was built with the covariate{?s} {.val {missing}}, which the cells do not have.",
            i = "They have {.val {if (length(names(x))) names(x) else 'none'}}."), class = "model_mismatch")
    }
    out <- S4Vectors::make_zero_col_DFrame(nrow(x))
    for (name in names(known)) {
        given <- x[[name]]
        if (!is_categorical(known[[name]])) {
            if (!is.numeric(given) || is.factor(given) || !all(is.finite(given))) {
                abort_rscvi("Covariate {.val {name}} must hold finite numbers, as it did when the model was built.",
                    class = "model_mismatch")
            }
            out[[name]] <- as.numeric(given)
            next
        }
        levels <- known[[name]]$levels
        unknown <- setdiff(as.character(unique(given)), levels)
        if (length(unknown)) {
            abort_rscvi(c("Covariate {.val {name}} has {.val {first_few(unknown)}}, which the model does not know.",
                i = "It knows {.val {first_few(levels)}}."), class = "model_mismatch")
        }
        out[[name]] <- factor(as.character(given), levels = levels)
    }
    out
}

covariate_summary <- function(known) {
    each <- vapply(names(known), function(name) {
        if (is_categorical(known[[name]])) sprintf("%s (%d levels)", name, length(known[[name]]$levels)) else name
    }, character(1L))
    paste(each, collapse = ", ")
}
