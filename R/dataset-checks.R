# Checks of what a data set is made of: names, factors, proteins and the values of the counts.

# Given or made-up names; always unique, because cells and genes are asked for by name later.
resolve_names <- function(x, arg, n, prefix) {
    if (is.null(x)) return(paste0(prefix, seq_len(n)))
    if (!is.character(x) && !is.factor(x)) {
        abort_rscvi("{.arg {arg}} must be a character vector, not {describe_value(x)}.")
    }
    x <- as.character(x)
    if (length(x) != n) {
        abort_rscvi("{.arg {arg}} has length {length(x)}, but the number of {prefix}s is {n}.")
    }
    if (anyNA(x)) abort_rscvi("{.arg {arg}} has {sum(is.na(x))} missing value{?s}.")
    repeated <- unique(x[duplicated(x)])
    if (length(repeated) == 0L) return(x)
    inform_rscvi("Made repeated {prefix} names unique ({length(repeated)}): {.val {first_few(repeated)}}.",
        class = "duplicated_names")
    make.unique(x)
}

# One element a cell, in the order of the cells. Names decide where there are any on both sides.
align_names <- function(given, cell_names, arg) {
    if (is.null(given) || is.null(cell_names) || identical(given, cell_names)) return(NULL)
    at <- match(cell_names, given)
    if (anyNA(at)) {
        abort_rscvi(c(
            "The names of {.arg {arg}} are not those of the cells: {sum(is.na(at))} cell{?s} {?is/are} missing, first
             {.val {cell_names[is.na(at)][1L]}}.",
            i = "Give names that match, or none if the cells are in the same order."
        ))
    }
    at
}

# Batches and labels. A factor keeps its levels for now: unused ones are dropped, and reported, when it is known
# which cells stay. NA stands for a label that is not known, where that may be.
cell_factor <- function(x, arg, n_cells, cell_names, default, may_be_missing = FALSE) {
    if (is.null(x)) return(factor(rep(default, n_cells)))
    if (methods::is(x, "Rle")) x <- S4Vectors::decode(x)
    if (!is.atomic(x) || !is.null(dim(x))) {
        abort_rscvi("{.arg {arg}} must be a vector or factor with one element a cell, not {describe_value(x)}.")
    }
    if (length(x) != n_cells) {
        abort_rscvi(c(
            "{.arg {arg}} must have one element a cell ({n_cells}), not {length(x)}.",
            if (is.character(x) && length(x) == 1L) {
                c(i = "It is {.val {unname(x)}}: the name of a column needs an object with columns.")
            }
        ))
    }
    # A factor can also have NA among its levels.
    absent <- sum(is.na(if (is.factor(x)) as.character(x) else x))
    if (absent > 0L && !may_be_missing) {
        abort_rscvi(c(
            "{.arg {arg}} is missing (NA) for {absent} of {n_cells} cells.",
            i = if (arg == "labels") "Leave these cells out, or give them a label of their own, such as {.val unknown}."
            else "Leave these cells out, or give them a batch."
        ))
    }
    if (absent == n_cells && n_cells > 0L) {
        abort_rscvi(c("{.arg {arg}} is missing (NA) for all {n_cells} cells.", i = "Leave it out."))
    }
    at <- align_names(names(x), cell_names, arg)
    if (!is.null(at)) x <- x[at]
    if (is.factor(x)) return(factor(unname(x), levels = setdiff(levels(x), NA)))
    # In the C locale: the codes of a trained model must not depend on the language of the session.
    factor(unname(x), levels = sort(unique(unname(x)), method = "radix"))
}

drop_unused_levels <- function(x, what) {
    unused <- setdiff(levels(x), as.character(x))
    if (length(unused) == 0L) return(x)
    inform_rscvi("Dropped {what} levels without cells ({length(unused)}): {.val {first_few(unused)}}.",
        class = "unused_levels")
    droplevels(x)
}

check_proteins <- function(x, n_cells, cell_names) {
    if (is.null(x)) return(NULL)
    if (is.character(x)) {
        abort_rscvi("{.arg proteins} is {.val {x[1L]}}: a name needs an object with alternative experiments or assays.")
    }
    if (is.data.frame(x) || methods::is(x, "Matrix")) x <- as.matrix(x)
    if (!is.matrix(x) || !is.numeric(x)) {
        abort_rscvi("{.arg proteins} must be a numeric matrix (cells x proteins), not {describe_value(x)}.")
    }
    if (nrow(x) != n_cells) {
        abort_rscvi(c(
            "{.arg proteins} must have one row a cell ({n_cells}), not {nrow(x)}.",
            if (ncol(x) == n_cells) c(i = "It seems to be proteins x cells: give {.code t(proteins)}.")
        ))
    }
    at <- align_names(rownames(x), cell_names, "proteins")
    if (!is.null(at)) x <- x[at, , drop = FALSE]
    rownames(x) <- cell_names
    storage.mode(x) <- "double"
    x
}

as_cell_data <- function(x, cell_names) {
    x <- if (is.null(x)) S4Vectors::make_zero_col_DFrame(length(cell_names)) else methods::as(x, "DFrame")
    rownames(x) <- cell_names
    x
}

# Values of the counts: one pass in C++, which also gives the total of each cell.
check_counts <- function(counts, source) {
    report <- core(counts_report_cpp(counts))
    if (report$problem == "none") return(report$cell_totals)
    gene <- counts@Dimnames[[1L]][report$gene]
    cell <- counts@Dimnames[[2L]][report$cell]
    value <- format(report$value, digits = 4L)
    n <- format(report$n_problems, big.mark = ",", scientific = FALSE)
    kind <- switch(report$problem, negative = "negative", fractional = "fractional",
        "missing or infinite")
    advice <- switch(report$problem,
        negative = "Raw counts are needed; these values look scaled or centred.",
        fractional = "Raw counts are needed; these values look normalised or log-transformed.",
        "Counts must be finite; leave these genes or cells out, or set the entries to 0.")
    abort_rscvi(c(
        "The counts of {.arg x} hold {kind} values ({n}), first {value} (gene {.val {gene}}, cell
         {.val {cell}}).",
        i = advice,
        if (length(source$others) && report$problem != "not_finite") {
            c(i = "They are from {.code {source$what} = \"{source$value}\"}; {.arg x} also has {.val {source$others}}.")
        }
    ), class = "invalid_counts", problem = report$problem)
}

# NULL if all cells stay, otherwise the indices of those that do.
check_empty_cells <- function(totals, cell_names, empty_cells) {
    empty <- which(totals == 0)
    if (length(empty) == 0L) return(NULL)
    first <- cell_names[empty[1L]]
    if (empty_cells == "error") {
        abort_rscvi(c(
            "{.arg x} has cells without counts ({length(empty)} of {length(totals)}, first {.val {first}}).",
            i = "Leave them out: {.code x[, colSums(counts(x)) > 0]}, or {.code empty_cells = \"drop\"} of
                 {.fn GeneExpressionDataset}."
        ), class = "empty_cells")
    }
    if (length(empty) == length(totals)) {
        abort_rscvi("None of the {length(totals)} cell{?s} has any counts.", class = "empty_cells")
    }
    if (empty_cells == "keep") {
        warn_rscvi("{.arg x} has cells without counts ({length(empty)} of {length(totals)}, first {.val {first}}): their
                    log library size is taken as 0.", class = "empty_cells")
        return(NULL)
    }
    inform_rscvi("Dropped cells without counts ({length(empty)} of {length(totals)}), first {.val {first}}.",
        class = "empty_cells")
    which(totals > 0)
}

first_few <- function(x, n = 5L) c(utils::head(x, n), if (length(x) > n) "...")
