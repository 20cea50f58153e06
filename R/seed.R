# `seed = NULL` draws one integer from R's generator, so that `set.seed()` decides; an explicit seed overrides.
# The core seeds generators of its own with it: R's stream moves by that one draw and by nothing else.
resolve_seed <- function(seed, arg = "seed") {
    if (is.null(seed)) return(as.numeric(sample.int(.Machine$integer.max, 1L)))
    as.numeric(check_count(seed, arg, lower = 0L))
}
