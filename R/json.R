# JSON as it is written and read here.

to_json_text <- function(x) {
    jsonlite::toJSON(x, auto_unbox = TRUE, null = "null", na = "null", json_verbatim = TRUE, pretty = TRUE)
}

# An array on one line, also of a single element; `x` is character or integer.
json_array <- function(x) {
    if (is.null(x)) return(NULL)
    if (is.character(x)) x <- enc2utf8(x)
    structure(as.character(jsonlite::toJSON(x, na = "null")), class = "json")
}

# jsonlite writes 15 digits of a number; 17 are needed to have it back.
json_exactly <- function(x) {
    if (is.list(x)) return(lapply(x, json_exactly))
    if (!is.double(x)) return(x)
    text <- vapply(x, function(value) {
        short <- format(value, digits = 15L)
        if (identical(as.numeric(short), value)) short else sprintf("%.17g", value)
    }, character(1L))
    structure(if (length(x) == 1L) text else sprintf("[%s]", paste(text, collapse = ", ")), class = "json")
}

# Not fromJSON(): that takes a text that looks like an address or a path to be one, and simplifies "NA" to a missing
# value.
from_json_text <- function(text) {
    if (!validUTF8(text)) abort_rscvi("it is not UTF-8")
    parsed <- jsonlite::parse_json(text, simplifyVector = FALSE)
    if (!is.list(parsed) || is.null(names(parsed))) abort_rscvi("it holds no JSON object")
    parsed
}

# An array of strings (null is a missing one) or of whole numbers. NULL stays NULL.
json_strings <- function(x) {
    if (is.null(x)) return(NULL)
    vapply(as.list(x), function(s) if (is.null(s)) NA_character_ else check_string(s, "text"), character(1L))
}

json_integers <- function(x) {
    whole <- all(lengths(x) == 1L) && all(vapply(x, is.numeric, logical(1L)))
    x <- if (length(x)) unlist(x) else integer(0)
    if (!whole || anyNA(x) || any(x != floor(x) | abs(x) > .Machine$integer.max)) {
        abort_rscvi("it holds something else than whole numbers")
    }
    as.integer(x)
}
