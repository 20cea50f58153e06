# What the scores of a latent space are computed from: coordinates of cells, and the groups that the cells fall into.

# A finite numeric matrix of cells x dimensions, as doubles without names.
check_coordinates <- function(x, arg = "x", least_cells = 2L) {
    if (is.data.frame(x) || methods::is(x, "Matrix")) x <- as.matrix(x)
    if (!is.matrix(x) || !is.numeric(x)) {
        abort_rscvi(c("{.arg {arg}} must be a numeric matrix (cells x dimensions), not {describe_value(x)}.",
            i = if (arg == "x") "Or a {.cls Posterior}, whose latent space is looked at."))
    }
    if (ncol(x) == 0L) abort_rscvi("{.arg {arg}} has no columns: cells need coordinates.")
    bad <- sum(!is.finite(x))
    if (bad > 0L) {
        cell <- which(rowSums(!is.finite(x)) > 0)[1L]
        abort_rscvi("{.arg {arg}} holds {bad} missing or infinite value{?s}, first in row {cell}.")
    }
    check_enough_cells(nrow(x), least_cells)
    storage.mode(x) <- "double"
    unname(x)
}

check_enough_cells <- function(n, least) {
    if (n < least) {
        abort_rscvi("{n} cell{?s} {?is/are} too few: at least {least} are needed.", class = "too_few_cells")
    }
    n
}

# One group a cell, as a factor whose levels all occur; `what` is a group in words, such as "batch".
check_groups <- function(x, arg, n_cells, what, least = 2L) {
    if (is.null(x)) abort_rscvi("{.arg {arg}} must be a vector or factor with one element a cell, not NULL.")
    # Without names: cells are matched by position, as a plain matrix of coordinates has none that could be relied on.
    groups <- droplevels(cell_factor(unname(x), arg, n_cells, NULL))
    if (nlevels(groups) < least) {
        abort_rscvi(c("All {n_cells} cells have the same {what}, {.val {levels(groups)}}: this score compares several.",
            i = "{.arg {arg}} must have at least {least} different values."), class = "single_group")
    }
    groups
}

# The number of neighbours to look at: never more than there are, with a warning if the user gave the number.
resolve_neighbours <- function(k, arg, n_others, is_given = TRUE) {
    k <- check_count(k, arg)
    if (is_given && k > n_others) {
        warn_rscvi(c("{.arg {arg}} is {k}, but a cell has only {n_others} other{?s} to be near to: all are taken.",
            i = "Where all cells are neighbours, that says little. Ask for fewer, or give more cells."),
            class = "few_cells")
    }
    min(k, n_others)
}

# The groups of a posterior's cells.
posterior_batches <- function(post) batch_indices(post@gene_dataset)[post@indices]
posterior_labels <- function(post) labels(post@gene_dataset)[post@indices]

# The posterior of those of its cells that have a label.
labelled_cells <- function(post) {
    known <- !is.na(posterior_labels(post))
    if (all(known)) return(post)
    if (!any(known)) abort_rscvi("None of the {nb_cells(post)} cells has a label.", class = "single_group")
    update_sampler_indices(post, post@indices[known])
}

# R's own generator, as k-means and t-SNE use it, for the time of one expression: seeded the same whatever the session
# uses, and put back afterwards. `seed = NULL` draws one number from the session's stream, as everywhere.
with_r_seed <- function(seed, expr) {
    withr::with_seed(resolve_seed(seed), expr, .rng_kind = "Mersenne-Twister", .rng_normal_kind = "Inversion",
        .rng_sample_kind = "Rejection")
}
