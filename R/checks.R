# Argument checks. Each returns its argument in the form that the core wants, or aborts with an error that
# names the argument (`arg`, as the user wrote it), the value and what is legal.

# How a value is shown in an error: short, on one line, with its type where that helps.
describe_value <- function(x) {
    if (is.null(x)) return("NULL")
    if (is.atomic(x) && length(x) == 1L) return(if (is.character(x)) dQuote(x, FALSE) else format(x))
    if (is.atomic(x) && is.null(dim(x))) return(sprintf("a %s vector of length %d", class(x)[1L], length(x)))
    sprintf("an object of class %s", paste(class(x), collapse = "/"))
}

check_number <- function(x, arg, lower = -Inf, upper = Inf, lower_open = FALSE, upper_open = FALSE) {
    legal <- is.numeric(x) && length(x) == 1L && !is.na(x) &&
        (if (lower_open) x > lower else x >= lower) &&
        (if (upper_open) x < upper else x <= upper)
    if (!legal) {
        interval <- paste0(if (lower_open || lower == -Inf) "(" else "[", lower, ", ", upper,
            if (upper_open || upper == Inf) ")" else "]")
        abort_rscvi("{.arg {arg}} must be one number in {interval}, not {describe_value(x)}.")
    }
    as.numeric(x)
}

check_count <- function(x, arg, lower = 1L, upper = .Machine$integer.max) {
    legal <- is.numeric(x) && length(x) == 1L && !is.na(x) && x == floor(x) && x >= lower && x <= upper
    if (!legal) {
        range <- if (upper == .Machine$integer.max) paste("of at least", lower) else paste("from", lower, "to", upper)
        abort_rscvi("{.arg {arg}} must be one whole number {range}, not {describe_value(x)}.")
    }
    as.integer(x)
}

check_flag <- function(x, arg) {
    if (!is.logical(x) || length(x) != 1L || is.na(x)) {
        abort_rscvi("{.arg {arg}} must be TRUE or FALSE, not {describe_value(x)}.")
    }
    x
}

check_string <- function(x, arg) {
    if (!is.character(x) || length(x) != 1L || is.na(x)) {
        abort_rscvi("{.arg {arg}} must be one character string, not {describe_value(x)}.")
    }
    x
}

check_choice <- function(x, arg, choices) {
    check_string(x, arg)
    if (!x %in% choices) {
        abort_rscvi("{.arg {arg}} must be one of {.or {.val {choices}}}, not {.val {x}}.")
    }
    x
}

check_class <- function(x, arg, class) {
    if (!methods::is(x, class)) {
        abort_rscvi("{.arg {arg}} must be a {.cls {class}}, not {describe_value(x)}.")
    }
    x
}

# NULL stays NULL, anything else goes through `check`.
check_optional <- function(x, arg, check, ...) if (is.null(x)) NULL else check(x, arg, ...)

# A choice of cells or genes: a logical mask of length `n`, or 1-based indices, in the order given.
# Names are looked up in `names` where there are any. Returns integer indices.
check_indices <- function(x, arg, n, names = NULL, allow_duplicates = TRUE) {
    if (is.logical(x)) {
        if (length(x) != n) {
            abort_rscvi("{.arg {arg}} is a logical mask of length {length(x)}, but must have length {n}.")
        }
        if (anyNA(x)) abort_rscvi("{.arg {arg}} is a logical mask with {sum(is.na(x))} missing value{?s}.")
        return(which(x))
    }
    if (is.character(x)) {
        found <- match(x, names)
        if (anyNA(found)) {
            abort_rscvi("{.arg {arg}} holds {sum(is.na(found))} name{?s} that {?does/do} not exist:
                {.val {utils::head(x[is.na(found)], 5)}}.")
        }
        x <- found
    }
    if (!is.numeric(x)) {
        abort_rscvi("{.arg {arg}} must be a logical mask, 1-based indices or names, not {describe_value(x)}.")
    }
    bad <- is.na(x) | x != floor(x) | x < 1 | x > n
    if (any(bad)) {
        abort_rscvi("{.arg {arg}} must hold indices from 1 to {n}; found {utils::head(x[bad], 5)}.")
    }
    if (!allow_duplicates && anyDuplicated(x)) {
        abort_rscvi("{.arg {arg}} holds an index more than once: {x[duplicated(x)][1L]}.")
    }
    as.integer(x)
}
