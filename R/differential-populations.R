# Populations of cells, and samples of their expression. A population's samples live in the core as what any genes of
# them are quickly decoded from, so that no matrix of samples x all genes is needed at a time.

# Cells of a population, as positions among the cells of the posterior: a mask or indices of the posterior's cells, cell
# names, or the name of a label.
check_population <- function(idx, arg, post) {
    n <- nb_cells(post)
    names <- cell_names(post@gene_dataset)[post@indices]
    cells <- check_indices(idx, arg, n, names)
    if (length(cells) == 0L) abort_rscvi("{.arg {arg}} selects no cell of {n}.", class = "empty_population")
    cells
}

check_group <- function(group, arg, post) {
    check_string(group, arg)
    types <- cell_types(post@gene_dataset)
    if (!group %in% types) {
        abort_rscvi(c("{.arg {arg}} is {.val {group}}, but there is no label of this name.",
            i = "The labels are {.val {types}}."))
    }
    check_population(labels(post@gene_dataset)[post@indices] %in% group, arg, post)
}

# Both populations of a comparison. `group1` (and `group2`; all other cells without it) stand in for idx1 and idx2.
check_populations <- function(post, idx1, idx2, group1, group2) {
    if (!is.null(group1) || !is.null(group2)) {
        if (!is.null(idx1) || !is.null(idx2)) {
            abort_rscvi("Give {.arg idx1} and {.arg idx2}, or {.arg group1} and {.arg group2}, not both.")
        }
        if (is.null(group1)) abort_rscvi("{.arg group2} needs {.arg group1}.")
        first <- check_group(group1, "group1", post)
        second <- if (is.null(group2)) setdiff(seq_len(nb_cells(post)), first) else check_group(group2, "group2", post)
        if (length(second) == 0L) {
            abort_rscvi("{.arg group1} is all cells: there is nothing to compare {.val {group1}} with.",
                class = "empty_population")
        }
    } else {
        if (is.null(idx1) || is.null(idx2)) {
            abort_rscvi("{.arg idx1} and {.arg idx2} (or {.arg group1}) are needed: the cells to compare.")
        }
        first <- check_population(idx1, "idx1", post)
        second <- check_population(idx2, "idx2", post)
    }
    both <- intersect(first, second)
    if (length(both)) {
        abort_rscvi(c("The two populations overlap in {length(both)} cell{?s}.",
            i = "Give populations that share no cell."), class = "overlapping_populations")
    }
    list(first = first, second = second)
}

# Batches to decode as, 1-based; integer(0) for the observed ones.
check_decoded_batches <- function(batchid, arg, use_observed_batches, post) {
    check_flag(use_observed_batches, "use_observed_batches")
    if (use_observed_batches) {
        if (!is.null(batchid)) {
            abort_rscvi(c("{.arg {arg}} and {.code use_observed_batches = TRUE} exclude each other.",
                i = "Leave out one of the two."))
        }
        return(integer(0))
    }
    levels <- levels(batch_indices(post@gene_dataset))
    if (is.null(batchid)) return(seq_along(levels))
    if (length(batchid) == 0L) abort_rscvi("{.arg {arg}} names no batch.")
    if (post@model@options$n_batch < 2L) return(rep(1L, length(check_indices(batchid, arg, length(levels), levels))))
    sort(unique(check_transform_batch(batchid, post@model, levels, arg = arg, many = TRUE)))
}

check_n_samples <- function(n_samples, n_samples_per_cell, n_cells, n_batches) {
    if (!is.null(n_samples) && !is.null(n_samples_per_cell)) {
        warn_rscvi("{.arg n_samples_per_cell} is ignored because {.arg n_samples} is given.",
            class = "ignored_argument")
    }
    if (is.null(n_samples)) {
        n_samples <- if (is.null(n_samples_per_cell)) 5000L else {
            each <- check_count(n_samples_per_cell, "n_samples_per_cell", lower = 1L)
            if (as.numeric(each) * n_cells > .Machine$integer.max) {
                abort_rscvi("{.arg n_samples_per_cell} is {each}: of {n_cells} cells, more samples than can be
                    handled.")
            }
            each * n_cells
        }
    }
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    if (n_batches > 1L && n_samples %/% n_batches < 1L) {
        warn_rscvi("{.arg n_samples} is {n_samples} for {n_batches} batches: two samples are taken of each.",
            class = "few_samples")
    }
    n_samples
}

# `cells` are positions among the posterior's cells.
sample_population <- function(post, cells, n_samples, batches, seed) {
    handle <- posterior_core(post, post@indices[cells])
    core(population_new_cpp(handle, n_samples, if (length(batches)) batches, seed))
}

#' Sample the expression of a population of cells
#'
#' Draws cells with replacement, one z from \eqn{q(z|x)} for each draw, and decodes it: `n_samples` samples of the
#' expected shares of all genes, divided evenly over the batches that they are decoded as. So each row is
#' \eqn{\rho(z, s)} for a batch s and a z from \eqn{\frac{1}{n} \sum_{i=1}^{n} q(z|x_i)}{the mean of q(z|x_i) over i},
#' the average posterior of the n cells.
#'
#' @param post a [Posterior()].
#' @param selection cells of the posterior: a logical mask, 1-based indices or cell names.
#' @param n_samples number of samples in total (over all batches); at least two of each batch are taken.
#' @param n_samples_per_cell if `n_samples` is `NULL`: so many samples for each selected cell.
#' @param batchid batches to decode as (level names or 1-based codes); `NULL`: all.
#' @param use_observed_batches decode each cell as the batch that it was observed in, instead.
#' @param give_mean return the mean over samples.
#' @param seed integer that decides the draws; `NULL` draws one from R's generator.
#' @return A list of `scale`, a samples x genes matrix of shares with gene names (a vector with `give_mean`), and
#'   `batch`, the batch of each sample, a factor (`NA` for observed batches).
#' @section Differences from scvi 0.6.8: the posterior is not changed by the call; with a mask, `n_samples_per_cell`
#'   counts the selected cells and not the length of the mask.
#' @references Boyeau et al. (2019) Deep generative models for detecting differential expression in single cells.
#'   *bioRxiv* 794289. Definition: scvi 0.6.8, `inference/posterior.py`, `scale_sampler()`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8), dataset)
#' samples <- scale_sampler(post, 1:20, n_samples = 100, seed = 1)
#' dim(samples$scale)
#' table(samples$batch)
#' @export
scale_sampler <- function(post, selection, n_samples = 5000, n_samples_per_cell = NULL, batchid = NULL,
                          use_observed_batches = FALSE, give_mean = FALSE, seed = NULL) {
    check_class(post, "post", "Posterior")
    check_flag(give_mean, "give_mean")
    cells <- check_population(selection, "selection", post)
    batches <- check_decoded_batches(batchid, "batchid", use_observed_batches, post)
    # The default gives way to n_samples_per_cell; only an explicit n_samples is held against it.
    if (missing(n_samples) && !is.null(n_samples_per_cell)) n_samples <- NULL
    n_samples <- check_n_samples(n_samples, n_samples_per_cell, length(cells), length(batches))
    population <- sample_population(post, cells, n_samples, batches, resolve_seed(seed))
    dataset <- post@gene_dataset
    scale <- core(population_scale_cpp(population, 1L, nb_genes(dataset)))
    colnames(scale) <- gene_names(dataset)
    if (give_mean) return(list(scale = colMeans(scale), batch = NULL))
    codes <- population_batch_cpp(population)
    levels <- levels(batch_indices(dataset))
    list(scale = scale, batch = factor(if (length(codes)) levels[codes] else rep(NA, nrow(scale)), levels = levels))
}
