# Scores of a latent space from the nearest neighbours of each cell. Nothing here is larger than cells x neighbours.

# entropy_batch_mixing -------------------------------------------------------------------------------------------------

#' How well batches mix
#'
#' The mean entropy of the batches among a cell's nearest neighbours: 0 where every cell lies among cells of its own
#' batch; where batches mix fully, the entropy of their shares of all cells, which is ln 2 for two of the same size.
#'
#' With \eqn{f_{ib}} the share of batch b among the k nearest other cells of cell i (Euclidean distance), the entropy of
#' cell i is \eqn{H_i = -\sum_b f_{ib} \ln f_{ib}}, with 0 ln 0 = 0. The score is the mean of H over `n_pools` pools of
#' `n_samples_per_pool` cells, drawn with replacement. **`n_pools = Inf` takes the mean over all cells**, which is the
#' expectation of the random score; a draw has a standard error of
#' \eqn{sd(H) / \sqrt{n\_pools \times n\_samples\_per\_pool}}, sd(H) being at most half the logarithm of the number of
#' batches.
#'
#' Mixing is no end in itself: a model that mixes batches of different cells has removed biology. Read it beside
#' [knn_purity()].
#'
#' @param x a [Posterior()], or a numeric matrix of cells x dimensions: any other embedding to hold it against.
#' @param batch for a matrix: the batch of each cell, a factor or vector. A posterior has its own.
#' @param n_neighbors number k of neighbours; of all other cells if there are fewer, with a warning.
#' @param n_pools,n_samples_per_pool number of pools and of cells in each; `n_pools = Inf`: all cells, nothing random.
#' @param seed integer that decides the pools; `NULL` draws one from R's generator.
#' @param ... arguments of the methods.
#' @return One number, in nats, from 0 to the logarithm of the number of batches. A posterior is looked at in the mean
#'   of its latent space ([latent_matrix()]).
#' @section Errors: `rscvi_single_group` if all cells are of one batch; `rscvi_too_few_cells` for fewer than two cells;
#'   `rscvi_invalid_argument` for coordinates that are missing or infinite, and for batches that are missing or of the
#'   wrong number.
#' @section Differences from scvi 0.6.8: any number of batches from two on (there an error for more, and `None` from a
#'   posterior with another number than two); an exact score; the same seed gives the same score.
#' @references Haghverdi et al. (2018) Batch effects in single-cell RNA-sequencing data are corrected by matching mutual
#'   nearest neighbors. *Nature Biotechnology* 36:421-427. Definition: scvi 0.6.8, `inference/posterior_utils.py`.
#' @seealso [knn_purity()], [clustering_scores()], [nn_overlap_score()]
#' @examples
#' sce <- example_pbmc()
#' dataset <- subsample_genes(GeneExpressionDataset(sce, batch = "batch"), 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' train(UnsupervisedTrainer(vae, dataset), n_epochs = 20, lr = 1e-2, seed = 1)
#' entropy_batch_mixing(Posterior(vae, dataset), seed = 1)
#'
#' # The same of principal components
#' pca <- prcomp(log1p(t(as.matrix(counts(dataset)))), rank. = 5)$x
#' entropy_batch_mixing(pca, sce$batch, n_pools = Inf)
#' @name entropy_batch_mixing
NULL

#' @rdname entropy_batch_mixing
#' @export
setMethod("entropy_batch_mixing", "Posterior", function(x, n_neighbors = 50, n_pools = 50, n_samples_per_pool = 100,
                                                        seed = NULL) {
    # Before the call: S4 dispatch would hide the class of an error in its first argument.
    z <- latent_matrix(x, seed = seed)
    entropy_batch_mixing(z, posterior_batches(x), n_neighbors, n_pools, n_samples_per_pool, seed)
})

#' @rdname entropy_batch_mixing
#' @export
setMethod("entropy_batch_mixing", "ANY", function(x, batch, n_neighbors = 50, n_pools = 50, n_samples_per_pool = 100,
                                                  seed = NULL) {
    x <- check_coordinates(x)
    batch <- check_groups(batch, "batch", nrow(x), "batch")
    k <- resolve_neighbours(n_neighbors, "n_neighbors", nrow(x) - 1L)
    if (is.numeric(n_pools) && identical(as.numeric(n_pools), Inf)) return(mean(neighbour_entropy(x, batch, k)))
    n_draws <- as.numeric(check_count(n_pools, "n_pools")) * check_count(n_samples_per_pool, "n_samples_per_pool")
    # Pools of one size: the mean of their means is the mean of all draws.
    drawn <- with_r_seed(seed, sample.int(nrow(x), n_draws, replace = TRUE))
    looked_at <- unique(drawn)
    mean(neighbour_entropy(x, batch, k, looked_at)[match(drawn, looked_at)])
})

# The entropy of the groups among the neighbours of each cell (of the cells `subset`), in nats.
neighbour_entropy <- function(x, groups, k, subset = NULL) {
    index <- nearest_neighbours(x, k, subset)
    n <- nrow(index)
    cell_and_group <- row(index) + (as.integer(groups)[index] - 1) * n
    share <- matrix(tabulate(cell_and_group, nbins = n * nlevels(groups)), nrow = n) / k
    -rowSums(share * log(pmax(share, .Machine$double.xmin)))
}

# knn_purity -----------------------------------------------------------------------------------------------------------

#' How pure the neighbourhoods of each label are
#'
#' The share of a cell's nearest neighbours that have its label; averaged over the cells of each label, then over
#' labels, so that rare labels count as much as common ones. 1 where labels do not touch.
#'
#' \deqn{\frac{1}{C} \sum_{c=1}^{C} \frac{1}{n_c} \sum_{i: y_i = c} \frac{\#\{j \in N_k(i): y_j = c\}}{k}}{mean over
#' labels c of the mean over cells i of label c of (number of the k neighbours of i with label c) / k}
#'
#' with \eqn{N_k(i)} the k nearest other cells of cell i by Euclidean distance.
#'
#' @inheritParams entropy_batch_mixing
#' @param labels for a matrix: the label of each cell, a factor or vector. A posterior has its own.
#' @return One number from 0 to 1. A posterior is looked at in the mean of its latent space ([latent_matrix()]).
#' @section Errors: `rscvi_single_group` if all cells have one label, where the score would be 1 whatever the latent
#'   space; `rscvi_too_few_cells` for fewer than two cells; `rscvi_invalid_argument` for coordinates that are missing or
#'   infinite, and for labels that are missing or of the wrong number.
#' @section Differences from scvi 0.6.8: works for 30 cells and fewer (there an error); the cell itself is left out by
#'   its identity and not as the first of k + 1 neighbours, which may be another one where cells are identical.
#' @references Definition: scvi 0.6.8, `inference/posterior_utils.py`.
#' @seealso [entropy_batch_mixing()], [clustering_scores()], [nn_overlap_score()]
#' @examples
#' sce <- example_pbmc()
#' dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' train(UnsupervisedTrainer(vae, dataset), n_epochs = 20, lr = 1e-2, seed = 1)
#' knn_purity(Posterior(vae, dataset))
#'
#' # The same of principal components
#' pca <- prcomp(log1p(t(as.matrix(counts(dataset)))), rank. = 5)$x
#' knn_purity(pca, sce$cell_type, n_neighbors = 30)
#' @name knn_purity
NULL

#' @rdname knn_purity
#' @export
setMethod("knn_purity", "Posterior", function(x, n_neighbors = 30) {
    x <- labelled_cells(x)
    z <- latent_matrix(x)
    knn_purity(z, posterior_labels(x), n_neighbors)
})

#' @rdname knn_purity
#' @export
setMethod("knn_purity", "ANY", function(x, labels, n_neighbors = 30) {
    x <- check_coordinates(x)
    groups <- check_groups(labels, "labels", nrow(x), "label")
    index <- nearest_neighbours(x, resolve_neighbours(n_neighbors, "n_neighbors", nrow(x) - 1L))
    code <- as.integer(groups)
    same <- rowMeans(matrix(code[index] == code, nrow = nrow(index)))
    mean(tapply(same, groups, mean))
})

# nn_overlap_score -----------------------------------------------------------------------------------------------------

#' How far neighbours in latent space are neighbours in protein space
#'
#' Where proteins were measured on the same cells (CITE-seq), they say who is close to whom without having been seen by
#' the model. The score compares the nearest neighbours of each cell in both spaces.
#'
#' \eqn{E_1} and \eqn{E_2} are the sets of pairs (i, j) with j among the k nearest other cells of i, by Euclidean
#' distance, in the one and the other space; each has nk of the \eqn{n^2} pairs.
#'
#' * `fold_enrichment`: \eqn{|E_1 \cap E_2|\, n^2 / (|E_1| |E_2|)}: how many times more neighbours are shared than two
#'   unrelated spaces would share. 1 is chance, n/k the most.
#' * `spearman_correlation`: Spearman's correlation of the two n x n matrices of zeros and ones. Ranks of such a matrix
#'   are a linear function of it, so that this is Pearson's correlation, \eqn{(s - p^2) / (p (1 - p))} with
#'   \eqn{p = k / n} and \eqn{s = |E_1 \cap E_2| / n^2}. No n x n matrix is ever formed.
#'
#' @inheritParams entropy_batch_mixing
#' @param proteins for a matrix: a numeric matrix with one row a cell, cells x proteins, normalised (for instance by
#'   centred log-ratios). For a posterior they are those of its data set, see [GeneExpressionDataset()].
#' @param k number of neighbours; of all other cells if there are fewer, with a warning.
#' @return A list of two numbers, `spearman_correlation` and `fold_enrichment`. A posterior is looked at in the mean of
#'   its latent space ([latent_matrix()]).
#' @section Errors: `rscvi_no_proteins` if the data set has no proteins; `rscvi_too_few_cells` for fewer than two cells;
#'   `rscvi_invalid_argument` for values that are missing or infinite, and for the wrong number of rows.
#' @section Differences from scvi 0.6.8: the Spearman correlation in closed form, where 0.6.8 ranks \eqn{n^2} numbers;
#'   an error without proteins (there `None`).
#' @references Definition: scvi 0.6.8, `inference/posterior_utils.py`, `nn_overlap()`.
#' @seealso [entropy_batch_mixing()], [knn_purity()], [clustering_scores()]
#' @examples
#' # Three made-up proteins, each on one cell type more than on others
#' sce <- example_pbmc()
#' types <- c("B cells", "CD14+ Monocytes", "CD8 T cells")
#' set.seed(1)
#' proteins <- sapply(types, function(type) rnorm(ncol(sce), mean = 3 * (sce$cell_type == type)))
#'
#' dataset <- GeneExpressionDataset(sce, batch = "batch", proteins = proteins)
#' dataset <- subsample_genes(dataset, 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' train(UnsupervisedTrainer(vae, dataset), n_epochs = 20, lr = 1e-2, seed = 1)
#' nn_overlap_score(Posterior(vae, dataset))
#'
#' # The same of principal components
#' pca <- prcomp(log1p(t(as.matrix(counts(dataset)))), rank. = 5)$x
#' nn_overlap_score(pca, proteins, k = 100)
#' @name nn_overlap_score
NULL

#' @rdname nn_overlap_score
#' @export
setMethod("nn_overlap_score", "Posterior", function(x, k = 100) {
    measured <- proteins(x@gene_dataset)
    if (is.null(measured)) {
        abort_rscvi(c("The data set of this posterior has no proteins.",
            i = "Give them to {.fn GeneExpressionDataset}, or ask
                 {.code nn_overlap_score(latent_matrix(post), proteins)}."), class = "no_proteins")
    }
    z <- latent_matrix(x)
    nn_overlap_score(z, measured[x@indices, , drop = FALSE], k)
})

#' @rdname nn_overlap_score
#' @export
setMethod("nn_overlap_score", "ANY", function(x, proteins, k = 100) {
    x <- check_coordinates(x)
    if (is.null(proteins)) abort_rscvi("{.arg proteins} is NULL: nothing to compare with.", class = "no_proteins")
    proteins <- check_coordinates(proteins, "proteins")
    n <- nrow(x)
    if (nrow(proteins) != n) {
        abort_rscvi("{.arg proteins} must have one row a cell ({n}), not {nrow(proteins)}.")
    }
    k <- resolve_neighbours(k, "k", n - 1L)
    shared <- count_shared(nearest_neighbours(x, k), nearest_neighbours(proteins, k))
    p <- k / n
    list(spearman_correlation = (shared / n^2 - p^2) / (p * (1 - p)), fold_enrichment = shared / k^2)
})

# How many elements the two index matrices have in common, row by row. In blocks of rows, as the look-up table of %in%
# takes many times the room of what it looks up.
count_shared <- function(index1, index2, block = 1e6) {
    n <- nrow(index1)
    starts <- seq(1L, n, by = max(1L, as.integer(block / ncol(index1))))
    shared <- 0
    for (rows in Map(seq.int, starts, c(starts[-1L] - 1L, n))) {
        # One number for a row and what it points at; n^2 is exact in a double.
        pairs <- function(index) (index[rows, ] - 1) * n + rows
        shared <- shared + sum(pairs(index1) %in% pairs(index2))
    }
    shared
}
