# Differential expression cluster by cluster.

#' Differential expression of each cluster
#'
#' `one_vs_all_degenes()` compares each cluster with all other cells, `within_cluster_degenes()` the cells of each
#' cluster that are in a state (such as stimulated) with those that are not. Each is [differential_expression_score()]
#' many times over, but every cell is encoded once and every cluster sampled once: the samples of "all others" are drawn
#' from those of the other clusters, in proportion to their numbers of cells.
#'
#' @param post a [Posterior()].
#' @param states logical, one element a cell of the posterior: is it in the state?
#' @param subset `NULL`, or the cells to look at: a logical mask, 1-based indices or names.
#' @param cell_labels `NULL` for the data set's labels, or one label a cell of the posterior (a factor, characters or
#'   numbers). Cells whose label is missing, or a negative number, belong to no cluster; they count among "all others".
#' @param min_cells a comparison is made if both sides have more cells than this.
#' @param batch1,batch2 for `within_cluster_degenes()`: batches to decode each side as, see `batchid1` in
#'   [differential_expression_score()].
#' @param use_observed_batches,n_samples,use_permutation,M_permutation,mode,change_fn,m1_domain_fn,delta,cred_interval_lvls,pseudocounts,fdr_target,seed
#'   see [differential_expression_score()]; `"detection"` and `"auto"` pseudocounts are found for each comparison.
#' @param output_file write the tables to `save_dir`, as `differential_expression.<filename>.xlsx` with one sheet a
#'   cluster (needs the package openxlsx).
#' @param save_dir,filename see `output_file`. The directory must exist.
#' @return A named list of data.frames as [differential_expression_score()] gives them, one a cluster that was compared,
#'   in the order of the labels, each with a last column `clusters`.
#' @section Differences from scvi 0.6.8: clusters go by their value (there by their place, so that labels 5 and 7 give
#'   nothing); the samples of "all others" are drawn from those of the other clusters, where there every comparison
#'   encodes and samples all cells anew; a named list for two lists. Names of clusters make legal names of sheets, and
#'   `save_dir` needs no slash.
#' @references Definition: scvi 0.6.8, `inference/posterior.py`, `one_vs_all_degenes()` and `within_cluster_degenes()`.
#' @section Errors: `rscvi_invalid_argument` for labels or states of another length than the posterior's cells, and
#'   where no cluster has enough cells.
#' @section Messages: `rscvi_confounded`, once, where clusters (or states) are of different batches, but decoded as all:
#'   see [confounded].
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 32, seed = 1), dataset)
#' trainer <- train(trainer, n_epochs = 5, lr = 1e-2, seed = 1)
#' post <- create_posterior(trainer)
#' markers <- one_vs_all_degenes(post, n_samples = 200, seed = 1)
#' names(markers)
#' head(markers[["B cells"]][c("bayes_factor", "raw_mean1", "raw_mean2")], 3)
#' stimulated <- batch_indices(dataset) == "stim"
#' response <- within_cluster_degenes(post, stimulated, n_samples = 200, use_observed_batches = TRUE, seed = 1)
#' head(response[["B cells"]][c("bayes_factor", "raw_mean1", "raw_mean2")], 3)
#' @name one_vs_all_degenes
NULL

#' @rdname one_vs_all_degenes
#' @export
setMethod("one_vs_all_degenes", "Posterior", function(
    post, subset = NULL, cell_labels = NULL, use_observed_batches = FALSE, min_cells = 10, n_samples = 5000,
    use_permutation = FALSE, M_permutation = 10000, output_file = FALSE, mode = "vanilla", change_fn = NULL,
    m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL, save_dir = "./", filename = "one2all",
    pseudocounts = NULL, fdr_target = NULL, seed = NULL
) {
    file <- check_output_file(output_file, save_dir, filename)
    settings <- check_contrast_settings(mode, use_permutation, M_permutation, change_fn, m1_domain_fn, delta,
        cred_interval_lvls, pseudocounts, fdr_target, may_be_of_data = TRUE)
    batches <- check_decoded_batches(NULL, "batchid", use_observed_batches, post)
    n_samples <- check_n_samples(n_samples, NULL, NULL, length(batches))
    min_cells <- check_count(min_cells, "min_cells", lower = 0L)
    cells <- check_subset(subset, post)
    groups <- split_clusters(check_cluster_labels(cell_labels, post), cells)

    sizes <- lengths(groups$cells)
    compared <- which(groups$is_cluster & sizes > min_cells & sum(sizes) - sizes > min_cells)
    check_any_cluster(compared, min_cells)
    if (!use_observed_batches) {
        others <- lapply(compared, function(k) unlist(groups$cells[-k]))
        report_confounding(post, groups$cells[compared], others, groups$names[compared])
    }
    seeds <- split_seed(seed, length(sizes) + 2L * length(compared))
    samples <- lapply(seq_along(sizes), function(k) {
        sample_population(post, groups$cells[[k]], n_samples, batches, seeds[k])
    })
    # Where genes are looked at block by block, mixtures take over what their parts have been prepared with.
    if (settings$change || settings$permute) {
        for (population in samples) core(population_prepare_cpp(population))
    }
    seeds <- utils::tail(seeds, 2L * length(compared))
    sums <- raw_sums(post, groups$cells)
    tables <- lapply(seq_along(compared), function(j) {
        k <- compared[j]
        others <- core(population_mix_cpp(samples[-k], sizes[-k], n_samples, seeds[2L * j - 1L]))
        settings <- with_pseudocount(settings, post, groups$cells[[k]], unlist(groups$cells[-k]), samples[[k]], others)
        table <- contrast_populations(post, samples[[k]], others, settings, seeds[2L * j])
        cluster_table(table, sums, k, seq_along(sizes)[-k], groups$names[k])
    })
    names(tables) <- groups$names[compared]
    write_cluster_xlsx(tables, file)
    tables
})

#' @rdname one_vs_all_degenes
#' @export
setMethod("within_cluster_degenes", "Posterior", function(
    post, states, cell_labels = NULL, min_cells = 10, batch1 = NULL, batch2 = NULL, use_observed_batches = FALSE,
    subset = NULL, n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, output_file = FALSE,
    mode = "vanilla", change_fn = NULL, m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL,
    save_dir = "./", filename = "within_cluster", pseudocounts = NULL, fdr_target = NULL, seed = NULL
) {
    file <- check_output_file(output_file, save_dir, filename)
    settings <- check_contrast_settings(mode, use_permutation, M_permutation, change_fn, m1_domain_fn, delta,
        cred_interval_lvls, pseudocounts, fdr_target, may_be_of_data = TRUE)
    batches1 <- check_decoded_batches(batch1, "batch1", use_observed_batches, post)
    batches2 <- check_decoded_batches(batch2, "batch2", use_observed_batches, post)
    n_samples <- check_n_samples(n_samples, NULL, NULL, max(length(batches1), length(batches2)))
    min_cells <- check_count(min_cells, "min_cells", lower = 0L)
    if (!is.logical(states) || length(states) != nb_cells(post) || anyNA(states)) {
        abort_rscvi("{.arg states} must be a logical vector with one element a cell ({nb_cells(post)}), without missing
            values, not {describe_value(states)}.")
    }
    cells <- check_subset(subset, post)
    groups <- split_clusters(check_cluster_labels(cell_labels, post), cells)
    inside <- lapply(groups$cells, function(these) these[states[these]])
    outside <- lapply(groups$cells, function(these) these[!states[these]])
    compared <- which(groups$is_cluster & lengths(inside) > min_cells & lengths(outside) > min_cells)
    check_any_cluster(compared, min_cells)
    if (is.null(batch1) && is.null(batch2) && !use_observed_batches) {
        report_confounding(post, inside[compared], outside[compared], groups$names[compared])
    }
    seeds <- matrix(split_seed(seed, 3L * length(compared)), nrow = 3L)
    sums <- raw_sums(post, c(inside[compared], outside[compared]))
    tables <- lapply(seq_along(compared), function(j) {
        k <- compared[j]
        population1 <- sample_population(post, inside[[k]], n_samples, batches1, seeds[1L, j])
        population2 <- sample_population(post, outside[[k]], n_samples, batches2, seeds[2L, j])
        settings <- with_pseudocount(settings, post, inside[[k]], outside[[k]], population1, population2)
        table <- contrast_populations(post, population1, population2, settings, seeds[3L, j])
        cluster_table(table, sums, j, length(compared) + j, groups$names[k])
    })
    names(tables) <- groups$names[compared]
    write_cluster_xlsx(tables, file)
    tables
})

cluster_table <- function(table, sums, first, second, name) {
    table <- sort_by_evidence(add_raw_statistics(table, sums, first, second))
    table$clusters <- rep(name, nrow(table))
    table
}

check_subset <- function(subset, post) {
    if (is.null(subset)) return(seq_len(nb_cells(post)))
    unique(check_population(subset, "subset", post))
}

check_cluster_labels <- function(cell_labels, post) {
    if (is.null(cell_labels)) {
        if (n_labels(post@gene_dataset) < 2L) {
            abort_rscvi(c("The data set has no labels to compare clusters by.",
                i = "Give {.arg cell_labels}, or {.arg labels} when the data set is made."))
        }
        return(labels(post@gene_dataset)[post@indices])
    }
    if (!is.atomic(cell_labels) || length(cell_labels) != nb_cells(post)) {
        abort_rscvi("{.arg cell_labels} must have one element a cell ({nb_cells(post)}), not {length(cell_labels)}.")
    }
    if (is.numeric(cell_labels)) cell_labels[!is.na(cell_labels) & cell_labels < 0] <- NA
    droplevels(as.factor(cell_labels))
}

# Cells of each label, and, last, those of none (which are no cluster of their own).
split_clusters <- function(labels, cells) {
    groups <- split(cells, droplevels(labels[cells]))
    unlabelled <- cells[is.na(labels[cells])]
    names <- names(groups)
    groups <- unname(groups)
    if (length(unlabelled)) groups <- c(groups, list(unlabelled))
    list(cells = groups, names = c(names, if (length(unlabelled)) NA), is_cluster = seq_along(groups) <= length(names))
}

check_any_cluster <- function(compared, min_cells) {
    if (length(compared) == 0L) {
        abort_rscvi(c("No cluster has more than {min_cells} cell{?s} on both sides of the comparison.",
            i = "Lower {.arg min_cells}, or use larger clusters."), class = "empty_population")
    }
}
