# Validity of the classes: each function collects all that is wrong before it returns.

# data set ------------------------------------------------------------------------------------------------------------

setValidity("GeneExpressionDataset", function(object) {
    counts <- object@counts
    n_cells <- ncol(counts)
    wrong <- character(0)
    note <- function(holds, message) if (!isTRUE(holds)) wrong <<- c(wrong, message)

    note(nrow(counts) > 0L && n_cells > 0L, "'counts' must have at least one gene and one cell")
    for (side in 1:2) {
        names <- counts@Dimnames[[side]]
        note(!is.null(names) && !anyDuplicated(names) && !anyNA(names),
            sprintf("'counts' must have unique %s names", c("row", "column")[side]))
    }
    per_cell <- list(batch = object@batch, labels = object@labels,
        local_means = object@local_means, local_vars = object@local_vars)
    for (slot in names(per_cell)) {
        note(length(per_cell[[slot]]) == n_cells,
            sprintf("'%s' must have one element a cell (%d), not %d", slot, n_cells, length(per_cell[[slot]])))
        note(slot == "labels" || !anyNA(per_cell[[slot]]), sprintf("'%s' has missing values", slot))
    }
    note(all(object@local_vars > 0), "'local_vars' must be positive")
    note(is.null(object@corrupted) || length(object@corrupted) == length(counts@x),
        "'corrupted' must have one value for each stored count")
    note(is.null(object@proteins) || nrow(object@proteins) == n_cells, "'proteins' must have one row a cell")
    note(nrow(object@covariates) == n_cells, "'covariates' must have one row a cell")
    for (name in names(object@covariates)) {
        x <- object@covariates[[name]]
        note((is.factor(x) && !anyNA(x)) || (is.numeric(x) && all(is.finite(x))),
            sprintf("covariate '%s' must be a factor without missing values, or finite numbers", name))
    }
    note(nrow(object@cell_data) == n_cells, "'cell_data' must have one row a cell")
    if (length(wrong)) wrong else TRUE
})

# end of: data set ----------------------------------------------------------------------------------------------------
