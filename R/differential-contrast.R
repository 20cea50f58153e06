# The part of differential expression after sampling: from two matrices of expression scales (samples x genes) to a
# table with one row a gene. Genes are independent, so that it works on any block of them: a plan is made once, from the
# samples' batches, and applied to block after block.

#' Differential expression from samples of expression scales
#'
#' For method developers: what [get_bayes_factors()] does after it has sampled the expression of two populations.
#' Samples are paired, within batches if both populations have the same ones, and each gene is tested over the pairs
#' \eqn{(s_1, s_2)} (Lopez et al. 2018, *Nature Methods* 15:1053; Boyeau et al. 2019, bioRxiv 794289):
#'
#' * `mode = "vanilla"`: `proba_m1` \eqn{= P(s_1 > s_2)}, `proba_m2` \eqn{= 1 - P}, `bayes_factor`
#'   \eqn{= \ln(P + \epsilon) - \ln(1 - P + \epsilon)} with \eqn{\epsilon = 10^{-8}}.
#' * `mode = "change"`: of \eqn{r = \log_2(s_1 + c) - \log_2(s_2 + c)}: `proba_de` \eqn{= P(|r| \ge \delta)},
#'   `proba_not_de`, `bayes_factor` (as above, of `proba_de`), the mean, median, standard deviation (divisor n), minimum
#'   and maximum of r (`lfc_*`), the shortest interval that holds each level asked for
#'   (`lfc_confidence_interval_<level>_min`, `_max`), and `proba_up` \eqn{= P(r \ge \delta)}, `proba_down`
#'   \eqn{= P(r \le -\delta)}.
#'
#' @param scale1,scale2 samples x genes matrices of the two populations; their columns are the same genes.
#' @param batch1,batch2 batch of each sample, or `NULL`.
#' @param mode `"vanilla"` or `"change"`.
#' @param use_permutation `FALSE` pairs the k-th sample of one with the k-th of the other; `TRUE` draws `M_permutation`
#'   pairs (as many of each batch) with replacement.
#' @param M_permutation number of pairs; `Inf` means **all pairs, exactly**: each side is sorted once and two pointers
#'   walk along both, so that no pair is ever formed. All probabilities, mean, median, standard deviation, minimum and
#'   maximum are then those of all pairs (within batches, batches weighing the same); only the intervals, which have no
#'   such form, are taken from 10,000 random pairs.
#' @param change_fn `NULL` or `"log-fold"` for r as above; or a function of two matrices (pairs x genes) that gives r.
#' @param m1_domain_fn `NULL` for \eqn{|r| \ge \delta}; or a function of a matrix r that gives `TRUE` in the region of
#'   differential expression.
#' @param delta \eqn{\delta}, at least 0; `NULL` is 0.5.
#' @param cred_interval_lvls levels of credible intervals, each in (0, 1).
#' @param pseudocounts c, a number of at least 0; `NULL` is 0, as in scvi 0.6.8.
#' @param fdr_target `NULL`, or a false discovery rate in (0, 1): adds a column `is_de_fdr_<target>`, `TRUE` for the
#'   largest set of genes, taken by falling `proba_de`, whose posterior expected false discovery rate, the mean of
#'   `proba_not_de` over the set, is at most the target. For `mode = "change"`.
#' @param seed integer that decides the random pairs; `NULL` draws one from R's generator.
#' @return A data.frame with one row a gene, in the order of the columns of `scale1` and with their names: the columns
#'   named above, and `scale1`, `scale2`, the mean scales of all samples.
#' @section Errors: `rscvi_invalid_argument`, naming the argument.
#' @section Differences from scvi 0.6.8: there this is a part of `get_bayes_factors()`. `M_permutation = Inf`,
#'   `pseudocounts`, `fdr_target`, `proba_up` and `proba_down` are new.
#' @references Lopez et al. (2018) Deep generative modeling for single-cell transcriptomics. *Nature Methods*
#'   15:1053-1058, Online Methods. Boyeau et al. (2019) Deep generative models for detecting differential expression in
#'   single cells. *bioRxiv* 794289. Definition: scvi 0.6.8, `inference/posterior.py`, `get_bayes_factors()`.
#' @examples
#' set.seed(1)
#' scale1 <- matrix(rgamma(200 * 3, shape = 5, rate = c(5, 5, 50)), ncol = 3, byrow = TRUE)
#' scale2 <- matrix(rgamma(200 * 3, shape = 5, rate = 5), ncol = 3)
#' bayes_factors_from_scales(scale1, scale2, mode = "change", M_permutation = Inf, use_permutation = TRUE)
#' @export
bayes_factors_from_scales <- function(scale1, scale2, batch1 = NULL, batch2 = NULL, mode = "vanilla",
                                      use_permutation = FALSE, M_permutation = 10000, change_fn = NULL,
                                      m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL,
                                      pseudocounts = NULL, fdr_target = NULL, seed = NULL) {
    scale1 <- check_scales(scale1, "scale1")
    scale2 <- check_scales(scale2, "scale2")
    if (ncol(scale1) != ncol(scale2)) {
        abort_rscvi("{.arg scale1} and {.arg scale2} must have the same genes, not {ncol(scale1)} and {ncol(scale2)}.")
    }
    batch1 <- check_sample_batch(batch1, "batch1", nrow(scale1))
    batch2 <- check_sample_batch(batch2, "batch2", nrow(scale2))
    # Codes that mean the same batch on both sides; one side alone may have batches.
    all <- sort(unique(c(as.character(batch1), as.character(batch2))))
    if (!is.null(batch1)) batch1 <- match(as.character(batch1), all)
    if (!is.null(batch2)) batch2 <- match(as.character(batch2), all)
    settings <- check_contrast_settings(mode, use_permutation, M_permutation, change_fn, m1_domain_fn, delta,
        cred_interval_lvls, pseudocounts, fdr_target)
    plan <- plan_contrast(settings, batch1, batch2, nrow(scale1), nrow(scale2), resolve_seed(seed))
    finish_contrast(contrast_block(scale1, scale2, plan), settings)
}

check_scales <- function(x, arg) {
    if (!is.matrix(x) || !is.numeric(x) || length(x) == 0L) {
        abort_rscvi("{.arg {arg}} must be a numeric matrix of samples x genes, not {describe_value(x)}.")
    }
    if (anyNA(x) || any(x < 0)) abort_rscvi("{.arg {arg}} has values that are missing or negative.")
    storage.mode(x) <- "double"
    x
}

check_sample_batch <- function(x, arg, n) {
    # Samples of observed batches come with NA, which is no batch to pair within.
    if (is.null(x) || all(is.na(x))) return(NULL)
    if (length(x) != n || anyNA(x)) abort_rscvi("{.arg {arg}} must have one batch a sample ({n}), or be NULL.")
    x
}

# Everything about the test that does not depend on the samples.
check_contrast_settings <- function(mode, use_permutation, M_permutation, change_fn, m1_domain_fn, delta,
                                    cred_interval_lvls, pseudocounts, fdr_target, may_be_of_data = FALSE) {
    mode <- check_choice(mode, "mode", c("vanilla", "change"))
    use_permutation <- check_flag(use_permutation, "use_permutation")
    exact <- is.numeric(M_permutation) && identical(as.numeric(M_permutation), Inf)
    if (!exact) M_permutation <- check_count(M_permutation, "M_permutation", lower = 1L)
    if (is.character(change_fn)) change_fn <- if (check_choice(change_fn, "change_fn", "log-fold") == "log-fold") NULL
    check_arity(change_fn, "change_fn", 2L)
    check_arity(m1_domain_fn, "m1_domain_fn", 1L)
    custom <- !is.null(change_fn) || !is.null(m1_domain_fn)
    if (exact && custom && mode == "change") {
        abort_rscvi(c("{.code M_permutation = Inf} knows the default change and region only.",
            i = "Give a finite {.arg M_permutation} together with {.arg change_fn} or {.arg m1_domain_fn}."))
    }
    for (level in cred_interval_lvls) {
        check_number(level, "cred_interval_lvls", lower = 0, upper = 1, lower_open = TRUE, upper_open = TRUE)
    }
    if (!is.null(fdr_target)) {
        check_number(fdr_target, "fdr_target", lower = 0, upper = 1, lower_open = TRUE, upper_open = TRUE)
        if (mode != "change") abort_rscvi("{.arg fdr_target} needs {.code mode = \"change\"}.")
    }
    list(
        change = mode == "change", permute = use_permutation || exact, exact = exact, n_pairs = M_permutation,
        change_fn = change_fn, m1_domain_fn = m1_domain_fn, custom = custom,
        delta = if (is.null(delta)) 0.5 else check_number(delta, "delta", lower = 0),
        levels = as.numeric(cred_interval_lvls), fdr_target = fdr_target,
        pseudocount = check_pseudocount(pseudocounts, may_be_of_data)
    )
}

# Found from the data: see with_pseudocount().
data_pseudocounts <- c("auto", "detection")

check_pseudocount <- function(x, may_be_of_data) {
    if (is.null(x)) return(0)
    if (may_be_of_data && length(x) == 1L && x %in% data_pseudocounts) return(x)
    if (is.character(x)) {
        abort_rscvi("{.arg pseudocounts} must be a number of at least 0{if (may_be_of_data) ', \"auto\" or
            \"detection\"'}, not {describe_value(x)}.")
    }
    check_number(x, "pseudocounts", lower = 0, upper_open = TRUE)
}

check_arity <- function(f, arg, n) {
    if (is.null(f)) return(invisible())
    if (!is.function(f)) abort_rscvi("{.arg {arg}} must be a function of {n} argument{?s}, not {describe_value(f)}.")
    takes <- formals(args(f))
    if (length(takes) < n && !"..." %in% names(takes)) {
        abort_rscvi("{.arg {arg}} must take {n} argument{?s}, but takes {length(takes)}.")
    }
}

# Pairs that intervals of an exact contrast are taken from.
n_interval_pairs <- 10000L

plan_contrast <- function(settings, batch1, batch2, n1, n2, seed) {
    if (length(batch1) && length(batch2) && !setequal(batch1, batch2) && length(intersect(batch1, batch2))) {
        warn_rscvi(c("The populations were sampled in different batches that overlap.",
            i = "Samples are paired across batches; give the same batches, or disjoint ones."),
        class = "batches_overlap")
    }
    strata <- core(strata_cpp(batch1, batch2, n1, n2))
    no_pairs <- list(first = integer(0), second = integer(0))
    if (settings$exact) {
        need <- settings$change && length(settings$levels)
        pairs <- if (need) core(pairs_cpp(strata, n_interval_pairs, seed)) else no_pairs
    } else {
        pairs <- core(pairs_cpp(strata, if (settings$permute) settings$n_pairs, seed))
    }
    list(settings = settings, strata = strata, pairs = pairs)
}

# The columns of the table for one block of genes, but for those that look at all genes together.
contrast_block <- function(scale1, scale2, plan) {
    settings <- plan$settings
    means <- list(scale1 = colMeans(scale1), scale2 = colMeans(scale2))
    if (settings$change && settings$custom) {
        found <- custom_contrast(scale1, scale2, plan$pairs, settings)
    } else {
        options <- settings[c("change", "delta", "pseudocount", "levels")]
        found <- if (settings$exact) {
            core(contrast_strata_cpp(scale1, scale2, plan$strata, plan$pairs, options))
        } else {
            core(contrast_pairs_cpp(scale1, scale2, plan$pairs, options))
        }
    }
    contrast_table(found, means, colnames(scale1), settings)
}

contrast_table <- function(found, means, names, settings) {
    columns <- if (settings$change) change_columns(found, means, settings) else vanilla_columns(found, means)
    data.frame(columns, row.names = if (!anyDuplicated(names)) names, check.names = FALSE)
}

# Keeps the logarithm of a probability of 0 finite; Bayes factors end at +-18.42.
probability_guard <- 1e-8
log_odds <- function(p, q = 1 - p) log(p + probability_guard) - log(q + probability_guard)

vanilla_columns <- function(found, means) {
    p <- found$above
    c(list(proba_m1 = p, proba_m2 = 1 - p, bayes_factor = log_odds(p)), means)
}

change_columns <- function(found, means, settings) {
    p <- found$outside
    lfc <- found$lfc
    levels <- substr(as.character(settings$levels), 1L, 5L)
    intervals <- if (length(levels)) stats::setNames(
        lapply(seq_len(2L * length(levels)), function(k) lfc$intervals[, k]),
        paste0("lfc_confidence_interval_", rep(levels, each = 2L), c("_min", "_max"))
    )
    c(
        list(proba_de = p, proba_not_de = 1 - p, bayes_factor = log_odds(p)), means,
        list(lfc_mean = lfc$mean, lfc_median = lfc$median, lfc_std = lfc$std, lfc_min = lfc$min, lfc_max = lfc$max),
        intervals,
        if (!is.null(found$up)) list(proba_up = found$up, proba_down = found$down)
    )
}

# With functions of the user's: pairs are formed, and the functions see matrices of pairs x genes.
custom_contrast <- function(scale1, scale2, pairs, settings) {
    s1 <- scale1[pairs$first, , drop = FALSE]
    s2 <- scale2[pairs$second, , drop = FALSE]
    change <- settings$change_fn
    if (is.null(change)) {
        change <- function(a, b) log2(a + settings$pseudocount) - log2(b + settings$pseudocount)
    }
    r <- call_user_function(change, "change_fn", dim(s1), s1, s2)
    if (anyNA(r) && !is.null(settings$change_fn)) {
        abort_rscvi("{.arg change_fn} returned missing values (NA or NaN) for {sum(is.na(r))} of {length(r)} pairs.")
    }
    region <- settings$m1_domain_fn
    if (is.null(region)) region <- function(r) abs(r) >= settings$delta
    inside <- call_user_function(region, "m1_domain_fn", dim(s1), r)
    if (anyNA(inside) && !anyNA(r)) abort_rscvi("{.arg m1_domain_fn} returned missing values.")
    # Two scales of 0 have no change: in no region.
    none <- is.na(r)
    inside[none] <- 0
    share <- function(region) colMeans(region & !none)
    # What is up and what is down is known of r and delta, whatever the region is.
    list(
        outside = share(inside != 0), up = share(r >= settings$delta), down = share(r <= -settings$delta),
        lfc = core(summarise_columns_cpp(r, settings$levels))
    )
}

call_user_function <- function(f, arg, shape, ...) {
    out <- tryCatch(f(...), error = function(e) {
        abort_rscvi("{.arg {arg}} failed.", parent = e)
    })
    wrong_shape <- length(out) != prod(shape) || (!is.null(dim(out)) && !identical(as.integer(dim(out)), shape))
    if (!(is.numeric(out) || is.logical(out)) || wrong_shape) {
        given <- if (is.null(dim(out))) describe_value(out) else paste(dim(out), collapse = " x ")
        abort_rscvi("{.arg {arg}} must return one value for each of {shape[1]} x {shape[2]} pairs and genes, not
            {given}.")
    }
    matrix(as.numeric(out), shape[1L], shape[2L])
}

# What needs all genes: the false discovery rate.
finish_contrast <- function(table, settings) {
    if (is.null(settings$fdr_target)) return(table)
    table[[paste0("is_de_fdr_", settings$fdr_target)]] <- expected_fdr_calls(table$proba_de, settings$fdr_target)
    table
}

expected_fdr_calls <- function(proba_de, target) {
    order <- order(proba_de, decreasing = TRUE, method = "radix")
    expected <- cumsum(1 - proba_de[order]) / seq_along(order)
    called <- logical(length(proba_de))
    called[order[seq_len(sum(expected <= target, na.rm = TRUE))]] <- TRUE
    called
}
