# Differential expression of two populations of cells.

# Where functions of the user's see the samples, in matrices: genes decoded and tested at a time.
genes_at_once <- 512L
values_at_once <- 2^22

# The contrast of two sampled populations over all genes.
contrast_populations <- function(post, population1, population2, settings, seed) {
    n <- nb_genes(post@gene_dataset)
    names <- gene_names(post@gene_dataset)
    batch1 <- population_batch_cpp(population1)
    batch2 <- population_batch_cpp(population2)
    size1 <- population_size_cpp(population1)
    size2 <- population_size_cpp(population2)
    plan <- plan_contrast(settings, batch1, batch2, size1, size2, seed)
    if (!settings$change || !settings$custom) {
        options <- settings[c("change", "delta", "pseudocount", "levels", "exact", "permute")]
        found <- core(population_contrast_cpp(population1, population2, plan$strata, plan$pairs, options))
        return(finish_contrast(contrast_table(found, found[c("scale1", "scale2")], names, settings), settings))
    }
    step <- genes_at_once
    # R's functions see all pairs of a block at once.
    if (settings$permute) step <- max(1L, min(step, as.integer(values_at_once %/% settings$n_pairs)))
    blocks <- lapply(seq.int(1L, n, by = step), function(first) {
        size <- min(step, n - first + 1L)
        scale1 <- core(population_scale_cpp(population1, first, size))
        scale2 <- core(population_scale_cpp(population2, first, size))
        colnames(scale1) <- names[first - 1L + seq_len(size)]
        contrast_block(scale1, scale2, plan)
    })
    finish_contrast(do.call(rbind, blocks), settings)
}

#' Differential expression of two populations
#'
#' Samples the expression of both populations ([scale_sampler()]) and tests each gene over pairs of samples
#' ([bayes_factors_from_scales()], which gives the definitions). `differential_expression_score()` adds statistics of
#' the raw counts and sorts.
#'
#' @param post a [Posterior()], as a rule of all cells.
#' @param idx1,idx2 the two populations: logical masks, 1-based indices or names of the posterior's cells. They may not
#'   overlap.
#' @param mode,use_permutation,M_permutation,change_fn,m1_domain_fn,delta,cred_interval_lvls,fdr_target see
#'   [bayes_factors_from_scales()]. `M_permutation = Inf` tests all pairs of samples, exactly.
#' @param batchid1,batchid2 batches (level names or 1-based codes) to decode each population as; `NULL`: all of them.
#'   With the same batches on both sides, samples are paired within batches: what differs is then not the batch.
#' @param use_observed_batches decode each cell as the batch that it was observed in, instead.
#' @param n_samples number of samples of each population, over all its batches.
#' @param pseudocounts added to both scales before the logarithm; `NULL`: 0, as in scvi 0.6.8. `"detection"`: 3 divided
#'   by the number of counts of the population with fewer: of a gene with a larger share, at least one count would be
#'   seen there with a probability of 95 % (rule of three). `"auto"`: what the model gives to genes that are not there:
#'   of the genes without any count in a population, the largest sampled scale each, and of these the 90th percentile;
#'   the larger of the two populations', and at least 1e-10. See "Genes with next to no counts".
#' @param group1,group2 in place of `idx1` and `idx2`: names of labels. Without `group2`: all cells that are not of
#'   `group1`.
#' @param all_stats add the raw statistics.
#' @param seed integer that decides all draws; `NULL` draws one from R's generator.
#'
#' @return `get_bayes_factors()`: a data.frame with one row a gene, in the order of the data set, gene names as row
#'   names; columns as in [bayes_factors_from_scales()]. `differential_expression_score()`: the same, sorted by falling
#'   `bayes_factor` (`proba_de` for `mode = "change"`), ties in the order of the data set, with `raw_mean1`,
#'   `raw_mean2`, `non_zeros_proportion1`, `non_zeros_proportion2`, `raw_normalized_mean1`, `raw_normalized_mean2` (see
#'   [raw_counts_properties()]).
#' @section Errors: `rscvi_empty_population`, `rscvi_overlapping_populations`; `rscvi_invalid_argument` for the rest.
#' @section Messages: `rscvi_confounded` where the populations are of different batches, but decoded as all: see
#'   [confounded].
#' @seealso [scvi_ensemble()] for what several fits agree on, [diagnose()] for whether to believe one.
#' @section Genes with next to no counts: what a model says of such a gene is a guess, and a ratio of two guesses can be
#'   anything. In change mode without a pseudocount they fill the list. Two cell types of worm_l2 (842 and 443 cells,
#'   5,000 genes, a median of 93 counts a cell, [runSCVI()]'s settings, one seed): genes called at a false
#'   discovery rate of 5 %, and those of them with a mean count below .05 in both types,
#'
#'   | `pseudocounts` | called | of next to no counts |
#'   |:---------------|-------:|---------------------:|
#'   | `NULL` | 738 | 513 |
#'   | `"detection"` | 59 | 0 |
#'   | `1e-4` | 28 | 0 |
#'   | `"auto"` | 0 | 0 |
#'
#' **Use `"detection"` in change mode**, and read the list in the order of [top_genes()]: on [example_pbmc()], CD14+
#'   monocytes, `ctrl` against `stim`, where it makes next to no difference otherwise, its first 30 genes held 20 of the
#'   first 30 by Wilcoxon's test with each of three seeds, those of the table itself 17 to 20. 1e-4 shrinks the changes
#'   of all genes, and `"auto"` is cautious: it calls few, and seeds agree less on which. Look at `raw_mean1` and
#'   `raw_mean2` in any case. More is in `bench/QUALITY.md` in the source, "Contrasts".
#' @section Memory: genes, or samples, are decoded a few at a time; what is kept of a sample is its last hidden layer.
#' @section Differences from scvi 0.6.8: the posterior is left as it was (there, later methods work on the cells that
#'   were drawn here); populations that overlap, and cells or batches that do not exist, are errors; ties keep the order
#'   of the genes. New: `group1` and `group2`, `pseudocounts`, `fdr_target`, `M_permutation = Inf`, and `proba_up` and
#'   `proba_down` in change mode.
#' @references Lopez et al. (2018) Deep generative modeling for single-cell transcriptomics. *Nature Methods*
#'   15:1053-1058, Online Methods (mode `"vanilla"`). Boyeau et al. (2019) Deep generative models for detecting
#'   differential expression in single cells. *bioRxiv* 794289 (mode `"change"`, false discovery rate). Definition: scvi
#'   0.6.8, `inference/posterior.py`, `get_bayes_factors()` and `differential_expression_score()`.
#' @examples
#' sce <- example_pbmc()
#' dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 200, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 32, seed = 1), dataset)
#' trainer <- train(trainer, n_epochs = 5, lr = 1e-2, seed = 1)
#' post <- create_posterior(trainer)
#' de <- differential_expression_score(post, group1 = "B cells", group2 = "CD4 T cells", mode = "change",
#'     n_samples = 500, use_permutation = TRUE, M_permutation = Inf, seed = 1)
#' head(de[c("proba_de", "lfc_mean", "raw_mean1", "raw_mean2")])
#' @name differential_expression_score
NULL

#' @rdname differential_expression_score
#' @export
setMethod("get_bayes_factors", "Posterior", function(
    post, idx1 = NULL, idx2 = NULL, mode = "vanilla", batchid1 = NULL, batchid2 = NULL, use_observed_batches = FALSE,
    n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, change_fn = NULL, m1_domain_fn = NULL,
    delta = 0.5, cred_interval_lvls = NULL, pseudocounts = NULL, fdr_target = NULL, group1 = NULL, group2 = NULL,
    seed = NULL
) {
    cells <- check_populations(post, idx1, idx2, group1, group2)
    batches1 <- check_decoded_batches(batchid1, "batchid1", use_observed_batches, post)
    batches2 <- check_decoded_batches(batchid2, "batchid2", use_observed_batches, post)
    settings <- check_contrast_settings(mode, use_permutation, M_permutation, change_fn, m1_domain_fn, delta,
        cred_interval_lvls, pseudocounts, fdr_target, may_be_of_data = TRUE)
    n_samples <- check_n_samples(n_samples, NULL, NULL, max(length(batches1), length(batches2)))
    if (is.null(batchid1) && is.null(batchid2) && !use_observed_batches) {
        report_confounding(post, list(cells$first), list(cells$second))
    }
    seeds <- split_seed(seed, 3L)
    population1 <- sample_population(post, cells$first, n_samples, batches1, seeds[1L])
    population2 <- sample_population(post, cells$second, n_samples, batches2, seeds[2L])
    settings <- with_pseudocount(settings, post, cells$first, cells$second, population1, population2)
    contrast_populations(post, population1, population2, settings, seeds[3L])
})

# Independent seeds for the parts of one call.
split_seed <- function(seed, n) {
    # Distinct numbers are enough: the core spreads nearby seeds over its whole range.
    (resolve_seed(seed) + seq_len(n) * 1000003) %% 2^52
}

# The settings of one comparison: a pseudocount from the data becomes a number.
with_pseudocount <- function(settings, post, first, second, population1, population2) {
    if (is.numeric(settings$pseudocount)) return(settings)
    counts_of <- function(these) post@gene_dataset@counts[, post@indices[these], drop = FALSE]
    settings$pseudocount <- if (!settings$change) {
        0 # nothing has a logarithm taken
    } else if (settings$pseudocount == "auto") {
        max(1e-10, silent_scale(counts_of(first), population1), silent_scale(counts_of(second), population2))
    } else {
        # Rule of three: of a share of 3 / n, one or more of n counts are seen with a probability of 1 - exp(-3) = .95.
        totals <- cell_totals(post@gene_dataset)[post@indices]
        3 / max(1, min(sum(totals[first]), sum(totals[second])))
    }
    settings
}

# What the model gives to genes that are not there.
silent_scale <- function(counts, population) {
    silent <- which(Matrix::rowSums(counts) == 0)
    largest <- vapply(silent, function(gene) max(core(population_scale_cpp(population, gene, 1L))), numeric(1L))
    if (length(largest)) stats::quantile(largest, 0.9, names = FALSE) else 0
}

#' @rdname differential_expression_score
#' @export
setMethod("differential_expression_score", "Posterior", function(
    post, idx1 = NULL, idx2 = NULL, mode = "vanilla", batchid1 = NULL, batchid2 = NULL, use_observed_batches = FALSE,
    n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, all_stats = TRUE, change_fn = NULL,
    m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL, pseudocounts = NULL, fdr_target = NULL,
    group1 = NULL, group2 = NULL, seed = NULL
) {
    check_flag(all_stats, "all_stats")
    table <- get_bayes_factors(post, idx1, idx2, mode, batchid1, batchid2, use_observed_batches, n_samples,
        use_permutation, M_permutation, change_fn, m1_domain_fn, delta, cred_interval_lvls, pseudocounts, fdr_target,
        group1, group2, seed)
    cells <- check_populations(post, idx1, idx2, group1, group2)
    if (all_stats) table <- add_raw_statistics(table, raw_sums(post, cells), 1L, 2L)
    sort_by_evidence(table)
})

# Sums of the raw counts of groups of the posterior's cells (see raw_counts_properties(), which has the definitions), in
# one pass over the counts, however many groups there are.
raw_sums <- function(post, groups) {
    counts <- post@gene_dataset@counts
    sums <- core(group_sums_cpp(counts@p, counts@i, counts@x, nrow(counts), post@indices[unlist(groups)],
        rep(seq_along(groups), lengths(groups)), length(groups)))
    c(sums, list(sizes = lengths(groups)))
}

# The raw statistics of some of the groups, taken together, against some others.
add_raw_statistics <- function(table, sums, first, second) {
    mean_of <- function(what, these) unname(rowSums(sums[[what]][, these, drop = FALSE])) / sum(sums$sizes[these])
    cbind(table, data.frame(
        raw_mean1 = mean_of("counts", first), raw_mean2 = mean_of("counts", second),
        non_zeros_proportion1 = mean_of("detected", first), non_zeros_proportion2 = mean_of("detected", second),
        raw_normalized_mean1 = mean_of("normalised", first), raw_normalized_mean2 = mean_of("normalised", second)
    ))
}

# Falling evidence; order() with radix is stable, so that ties stay in the order of the data set.
sort_by_evidence <- function(table) {
    by <- if (is.null(table$proba_de)) table$bayes_factor else table$proba_de
    table[order(by, decreasing = TRUE, method = "radix"), , drop = FALSE]
}

#' Samples of expression with the labels of their cells (deprecated)
#'
#' What scvi's first version of differential expression worked on: `M_sampling` draws of z from \eqn{q(z|x)} for each
#' cell, and the shares \eqn{\rho_g} of all genes decoded from each ([get_sample_scale()]). Use
#' [differential_expression_score()].
#'
#' @param post a [Posterior()].
#' @param M_sampling number of draws of z a cell.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return A list of `px_scales`, a matrix of (cells x draws) x genes whose rows are the draws of the first cell, then
#'   of the second, ..., and `labels`, a factor with one element a row.
#' @section Memory: 8 bytes times cells x `M_sampling` x genes.
#' @section Differences from scvi 0.6.8: cells are in the order of `indices(post)` (there at random, but for sequential
#'   posteriors); a named list for a tuple; labels are a factor.
#' @section Errors: `rscvi_invalid_argument`, naming the argument; and always a warning, `rscvi_deprecated`.
#' @references Definition: scvi 0.6.8, `inference/posterior.py`, `differential_expression_stats()`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), labels = "cell_type"), 20, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8), dataset, indices = 1:10)
#' samples <- suppressWarnings(differential_expression_stats(post, M_sampling = 3, seed = 1))
#' dim(samples$px_scales)
#' @export
differential_expression_stats <- function(post, M_sampling = 100, seed = NULL) {
    check_class(post, "post", "Posterior")
    warn_rscvi(c("{.fn differential_expression_stats} is deprecated.",
        i = "Use {.fn differential_expression_score}."), class = "deprecated")
    M_sampling <- check_count(M_sampling, "M_sampling", lower = 1L)
    scale <- get_sample_scale(post, n_samples = M_sampling, return_mean = FALSE, seed = seed)
    dataset <- post@gene_dataset
    # draws x cells x genes is already cell by cell, read as rows.
    dim(scale) <- c(M_sampling * nb_cells(post), nb_genes(dataset))
    colnames(scale) <- gene_names(dataset)
    list(px_scales = scale, labels = rep(labels(dataset)[post@indices], each = M_sampling))
}
