# Scores of how well clusters of a latent space match labels.

#' How well clusters match labels
#'
#' Clusters the cells into as many clusters as there are labels, and compares the clusters with the labels; and says how
#' well the labels themselves separate.
#'
#' * `asw`: mean over cells of the silhouette width of the **labels** (not the clusters), \eqn{(b_i - a_i) / \max(a_i,
#'   b_i)}, with \eqn{a_i} the mean Euclidean distance to the other cells with the label of cell i and \eqn{b_i} the
#'   least of the mean distances to the cells of another label; 0 for the only cell of its label. From -1 to 1.
#' * `nmi`: normalised mutual information of clusters C and labels Y, \eqn{2 I(C; Y) / (H(C) + H(Y))}. From 0 to 1.
#' * `ari`: adjusted Rand index (Hubert & Arabie 1985). 0 is chance, 1 is agreement.
#' * `uca`: unsupervised clustering accuracy: the share of cells whose cluster stands for their label, each cluster
#'   standing for one label, in the best of all ways ([unsupervised_clustering_accuracy()]). From 0 to 1.
#'
#' `prediction_algorithm` decides how cells are clustered:
#' * `"knn"`, in spite of its name, which is that of scvi 0.6.8: k-means (Hartigan & Wong's, [stats::kmeans()]), the
#'   best of `n_init` starts by the within-cluster sum of squares.
#' * `"gmm"`: a mixture of Gaussians with a full covariance matrix each, fitted by EM ([mclust::meVVV()]) from one
#'   k-means solution; where a covariance matrix becomes singular, again with mclust's conjugate prior.
#'
#' @inheritParams entropy_batch_mixing
#' @param labels for a matrix: the label of each cell, a factor or vector. A posterior has its own.
#' @param prediction_algorithm `"knn"` or `"gmm"`.
#' @param n_init number of random starts of k-means, for `"knn"`.
#' @param seed integer that decides the starts; `NULL` draws one from R's generator.
#' @return A data.frame of one row with the columns `asw`, `nmi`, `ari` and `uca`. A posterior is looked at in the mean
#'   of its latent space ([latent_matrix()]).
#' @section Time and memory: the silhouette needs all \eqn{n^2} distances; they are computed a block of rows at a time,
#'   so that memory stays within some hundred megabytes. Minutes for 100,000 cells.
#' @section Errors: `rscvi_single_group` if all cells have one label; `rscvi_too_few_cells` for fewer cells than needed,
#'   or fewer different ones than labels; `rscvi_failed_fit` if the mixture cannot be fitted; `rscvi_invalid_argument`
#'   for coordinates that are missing or infinite, labels that are missing or of the wrong number, and unknown
#'   algorithms.
#' @section Differences from scvi 0.6.8: an error for a single label (there `None`); as many clusters as there are
#'   labels among the cells (there: among all cells of the data set); a named data.frame for a tuple. Only k-means and
#'   EM are random, and the same seed gives the same scores.
#' @references Definition: scvi 0.6.8, `inference/posterior.py`, `clustering_scores()`. Rousseeuw (1987) Silhouettes.
#'   *Journal of Computational and Applied Mathematics* 20:53-65. Hubert & Arabie (1985) Comparing partitions. *Journal
#'   of Classification* 2:193-218.
#' @seealso [entropy_batch_mixing()], [knn_purity()]
#' @examples
#' sce <- example_pbmc()
#' dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' train(UnsupervisedTrainer(vae, dataset), n_epochs = 20, lr = 1e-2, seed = 1)
#' clustering_scores(Posterior(vae, dataset), seed = 1)
#'
#' # The same of principal components, by a mixture of Gaussians
#' pca <- prcomp(log1p(t(as.matrix(counts(dataset)))), rank. = 5)$x
#' clustering_scores(pca, sce$cell_type, "gmm", seed = 1)
#' @name clustering_scores
NULL

#' @rdname clustering_scores
#' @export
setMethod("clustering_scores", "Posterior", function(x, prediction_algorithm = "knn", n_init = 200, seed = NULL) {
    x <- labelled_cells(x)
    z <- latent_matrix(x, seed = seed)
    clustering_scores(z, posterior_labels(x), prediction_algorithm, n_init, seed)
})

#' @rdname clustering_scores
#' @export
setMethod("clustering_scores", "ANY", function(x, labels, prediction_algorithm = "knn", n_init = 200, seed = NULL) {
    x <- check_coordinates(x)
    groups <- check_groups(labels, "labels", nrow(x), "label")
    check_choice(prediction_algorithm, "prediction_algorithm", c("knn", "gmm"))
    n_init <- check_count(n_init, "n_init")
    check_distinct_cells(x, nlevels(groups))
    clusters <- with_r_seed(seed, switch(prediction_algorithm,
        knn = kmeans_clusters(x, nlevels(groups), n_init), gmm = mixture_clusters(x, nlevels(groups))))
    data.frame(
        asw = mean_silhouette(x, groups),
        nmi = normalised_mutual_information(groups, clusters),
        ari = mclust::adjustedRandIndex(as.integer(groups), clusters),
        uca = unsupervised_clustering_accuracy(as.integer(groups), clusters)$accuracy
    )
})

check_distinct_cells <- function(x, n_clusters) {
    n <- nrow(unique(x))
    if (n < n_clusters) {
        abort_rscvi("Cells lie at {n} different place{?s}, which cannot be divided into {n_clusters} clusters, one for
                     each label.", class = "too_few_cells")
    }
}

# Clusters ------------------------------------------------------------------------------------------------------------

kmeans_iterations <- 300L  # of 0.6.8's k-means

# A start that does not converge loses against the others: not worth a warning each.
kmeans_clusters <- function(x, n_clusters, n_init) {
    suppressWarnings(stats::kmeans(x, n_clusters, iter.max = kmeans_iterations, nstart = n_init))$cluster
}

# One k-means start can be poor, and EM does not leave the basin that it starts in.
mixture_starts <- 10L

# The functions behind mclust::Mclust(), which itself works only while mclust is attached.
mixture_clusters <- function(x, n_clusters) {
    fit_mixture <- if (ncol(x) == 1L) mclust::meV else mclust::meVVV
    start <- mclust::unmap(kmeans_clusters(x, n_clusters, mixture_starts), groups = seq_len(n_clusters))
    fit <- fit_mixture(x, start, warn = FALSE)
    if (is.na(fit$loglik)) fit <- fit_mixture(x, start, prior = mixture_prior(x, n_clusters), warn = FALSE)
    if (is.na(fit$loglik)) {
        abort_rscvi(c("A mixture of {n_clusters} Gaussians cannot be fitted to these {nrow(x)} cells.",
            i = "Use {.code prediction_algorithm = \"knn\"}."), class = "failed_fit")
    }
    max.col(fit$z, ties.method = "first")
}

# mclust's own prior, Fraley & Raftery's (2007), with a little added to the diagonal of its covariance: where a
# dimension is a combination of others, it too would be singular.
mixture_prior <- function(x, n_clusters) {
    covariance <- stats::var(x)
    ridge <- 1e-6 * max(diag(covariance))
    mclust::priorControl(scale = covariance / n_clusters^(2 / ncol(x)) + diag(ridge, ncol(x)))
}

# Scores --------------------------------------------------------------------------------------------------------------

silhouette_block <- 4e6  # distances at a time: 32 MB, of which a few copies are alive

# The mean silhouette width, exactly, without the n x n distances that cluster::silhouette() takes.
mean_silhouette <- function(x, groups, block = silhouette_block) {
    n <- nrow(x)
    code <- as.integer(groups)
    sizes <- tabulate(code, nlevels(groups))
    member <- outer(code, seq_along(sizes), "==") + 0
    # |a - b|^2 = |a|^2 + |b|^2 - 2ab in one matrix product; centred, so that little is lost to cancellation.
    x <- sweep(x, 2L, colMeans(x))
    square <- rowSums(x^2)
    left <- cbind(-2 * x, square, 1)
    right <- cbind(x, 1, square)
    total <- 0
    starts <- seq(1L, n, by = max(1L, as.integer(block / n)))
    for (rows in Map(seq.int, starts, c(starts[-1L] - 1L, n))) {
        distance <- sqrt(abs(tcrossprod(left[rows, , drop = FALSE], right)))
        distance[cbind(seq_along(rows), rows)] <- 0
        total <- total + sum(silhouette_widths(distance %*% member, code[rows], sizes))
    }
    total / n
}

# From the sum of each cell's distances to the cells of each label: cells x labels.
silhouette_widths <- function(sums, code, sizes) {
    own <- cbind(seq_along(code), code)
    within <- sums[own] / (sizes[code] - 1)
    between <- sums / rep(sizes, each = length(code))
    between[own] <- Inf
    between <- do.call(pmin, lapply(seq_along(sizes), function(label) between[, label]))
    width <- (between - within) / pmax(between, within)
    # 0 / 0: the only cell of a label, or cells that all lie at one place.
    ifelse(is.finite(width), width, 0)
}

normalised_mutual_information <- function(y, y_pred) {
    joint <- table(y, y_pred) / length(y)
    h <- function(p) -sum(p[p > 0] * log(p[p > 0]))
    h_y <- h(rowSums(joint))
    h_pred <- h(colSums(joint))
    # Two partitions into one part each are the same.
    if (h_y + h_pred == 0) return(1)
    max(0, 2 * (h_y + h_pred - h(joint)) / (h_y + h_pred))
}

#' Accuracy of clusters as predictions of labels
#'
#' The share of elements whose cluster stands for their label, if each cluster stands for one label and each label is
#' stood for by one cluster, in the best of all such ways (found by the Hungarian method, [clue::solve_LSAP()]).
#'
#' @param y true labels: a vector or factor.
#' @param y_pred predicted labels or clusters, one for each element of `y`. They need not have the values of `y`.
#' @return A list of `accuracy`, a number from 0 to 1, and `assignment`, a data.frame with one row for each value that
#'   occurs in `y` or `y_pred`, in sorted order: `predicted`, and `true`, the label that it stands for. Values beyond
#'   those that occur in the other vector are paired arbitrarily.
#' @section Errors: `rscvi_invalid_argument` for missing values and different lengths.
#' @section Differences from scvi 0.6.8: values may be of any kind, and the assignment names them (there: their
#'   positions in sorted order, from 0).
#' @references Definition: scvi 0.6.8, `inference/posterior_utils.py`.
#' @examples
#' unsupervised_clustering_accuracy(c("B", "B", "T", "T", "T"), c(2, 2, 1, 1, 2))
#' @export
unsupervised_clustering_accuracy <- function(y, y_pred) {
    y <- check_values(y, "y")
    y_pred <- check_values(y_pred, "y_pred")
    if (length(y) != length(y_pred)) {
        abort_rscvi("{.arg y} and {.arg y_pred} must have the same length, not {length(y)} and {length(y_pred)}.")
    }
    values <- all_values(y, y_pred)
    known <- as.character(values)
    counts <- table(factor(as.character(y_pred), known), factor(as.character(y), known))
    stands_for <- as.integer(clue::solve_LSAP(unclass(counts), maximum = TRUE))
    list(
        accuracy = sum(counts[cbind(seq_along(known), stands_for)]) / length(y),
        assignment = data.frame(predicted = values, true = values[stands_for])
    )
}

# What occurs in either, each value once: numbers by size, else levels in their order and text by the alphabet.
all_values <- function(y, y_pred) {
    if (is.numeric(y) && is.numeric(y_pred)) return(sort(unique(c(y, y_pred))))
    sorted <- function(x) if (is.factor(x)) levels(droplevels(x)) else as.character(sort(unique(x), method = "radix"))
    union(sorted(y), sorted(y_pred))
}

check_values <- function(x, arg) {
    if (!is.atomic(x) || is.null(x) || length(x) == 0L || !is.null(dim(x))) {
        abort_rscvi("{.arg {arg}} must be a vector or factor that is not empty, not {describe_value(x)}.")
    }
    absent <- sum(is.na(if (is.factor(x)) as.character(x) else x))
    if (absent > 0L) abort_rscvi("{.arg {arg}} has {absent} missing value{?s} (NA).")
    x
}

#' Entropy of what a vector is made of
#'
#' \eqn{-\sum_v p_v \ln p_v}, with \eqn{p_v} the share of value v.
#'
#' @param indices a vector or factor, such as the clusters or batches of some cells.
#' @return One number, in nats: 0 if all values are the same, ln n if all n are different.
#' @section Errors: `rscvi_invalid_argument` for missing values and an empty vector.
#' @references Definition: scvi 0.6.8, `inference/posterior_utils.py`.
#' @examples
#' entropy_from_indices(c("ctrl", "stim", "ctrl", "stim"))
#' @export
entropy_from_indices <- function(indices) {
    share <- table(as.character(check_values(indices, "indices"))) / length(indices)
    -sum(share * log(share))
}
