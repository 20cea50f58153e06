# Contrasts that coincide with batches. Decoded as all batches, which is the default, both groups lose what differs
# between the batches, and with it what differs between the groups.

#' Contrasts that coincide with batches
#'
#' By default differential expression decodes every cell as all batches in turn, and pairs samples within a batch: what
#' the model puts down to the batch drops out. That is what a comparison of cell types across batches wants. **Where the
#' two groups were observed in different batches it takes the effect away**, as far as the model took it for one of
#' batches, and fits from different seeds disagree on what is left. [get_bayes_factors()],
#' [differential_expression_score()], [one_vs_all_degenes()] and [within_cluster_degenes()] then give a message of class
#' `rscvi_confounded`, once a call.
#'
#' # The rule
#' With \eqn{p_b} and \eqn{q_b} the shares of batch b among the cells of the two groups, the groups coincide with
#' batches if they share no more than a fifth: \eqn{\sum_b \min(p_b, q_b) \le 0.2}. The message is given where the model
#' has at least two batches and neither batches to decode as (`batchid1`, `batchid2`; `batch1`, `batch2`) nor
#' `use_observed_batches = TRUE` was asked for.
#'
#' The less the groups share, the more of the effect goes. CD14+ monocytes of [example_pbmc()], `stim` against `ctrl`,
#' with the condition as batch but that of some cells, at random, swapped (`library = "residual"`, 60 epochs, one seed;
#' of the 50 genes that change most, the median |log2 fold change|; genes called at a false discovery rate of 5 %):
#'
#' | shared | all batches (default) | called | observed batches | called |
#' |---|---|---|---|---|
#' | 0 % | .21 | 0 | 1.01 | 42 |
#' | 3 % | .27 | 0 | .91 | 33 |
#' | 7 % | .36 | 0 | .96 | 34 |
#' | 12 % | .53 | 4 | .92 | 33 |
#' | 36 % | .70 | 17 | .79 | 25 |
#' | 93 % | .91 | 33 | .91 | 33 |
#'
#' So there is no message at a third, where a part of the effect still goes: where batches and groups go together at
#' all, look at both tables.
#'
#' # What to do
#' * `use_observed_batches = TRUE` compares cells as they were observed.
#' * A model without that batch (`runSCVI()` without `batch`, or `VAE(dataset, n_batch = 0)`) keeps the effect in the
#'   latent space. If there are batches besides the condition, such as donors or lanes, give these as batch.
#'
#' Neither can tell the condition from anything technical that differs between its batches: that is a matter of design.
#' [example_pbmc()] is such a case: on CD14+ monocytes, `ctrl` against `stim`, with the condition as batch, three seeds
#' called 2, 3 and 22 genes with the default, 153 (sd 22) with observed batches, and 177 (sd 17) where the condition was
#' not given as batch (scvi 0.6.8's defaults, 100 epochs).
#'
#' To silence it: `suppressMessages(..., classes = "rscvi_confounded")`.
#' @seealso [scvi_ensemble()]: what several fits agree on.
#' @name confounded
NULL

most_shared_batches <- 0.2

# Sum over batches of the smaller of the two shares: 0 for groups without a batch in common, 1 for the same shares.
batch_overlap <- function(batch, first, second) {
    share <- function(cells) tabulate(batch[cells], nbins = nlevels(batch)) / length(cells)
    sum(pmin(share(first), share(second)))
}

# `first` and `second`: lists of populations that are compared pair by pair, as positions among the posterior's cells;
# `names`: of the pairs, if there are several.
report_confounding <- function(post, first, second, names = NULL) {
    n <- post@model@options$n_batch
    # A classifier knows no batches; that it has nothing to compare is said later.
    if (is.null(n) || n < 2L) return(invisible(FALSE))
    batch <- posterior_batches(post)
    overlap <- mapply(function(a, b) batch_overlap(batch, a, b), first, second)
    # Up to rounding.
    these <- which(overlap <= most_shared_batches + 1e-9)
    if (length(these) == 0L) return(invisible(FALSE))
    batches <- function(cells) {
        sizes <- sort(table(droplevels(batch[cells])), decreasing = TRUE)
        names(sizes)[cumsum(sizes) - sizes < (1 - most_shared_batches) * sum(sizes)]
    }
    first_batches <- batches(first[[these[1L]]])
    second_batches <- batches(second[[these[1L]]])
    shared <- round(100 * overlap[these[1L]])
    but_for <- if (shared > 0) sprintf(", but for %d %%", as.integer(shared)) else ""
    who <- if (is.null(names)) "The two groups" else "Groups that are compared"
    inform_rscvi(c(
        "!" = "{who} were observed in different batches ({.val {first_batches}} against
            {.val {second_batches}}){but_for}.",
        if (!is.null(names)) c(" " = "Clusters: {.val {names[these]}}."),
        " " = "Every cell is decoded as all {n} batches: what the model puts down to the batch drops out, and the effect
            shrinks with it.",
        i = "{.code use_observed_batches = TRUE} compares cells as they were observed; or use a model without this
            batch. See {.topic rscvi::confounded}."
    ), class = "confounded")
    invisible(TRUE)
}
