# Nearest neighbours, exactly, by BiocNeighbors; and what the neighbours of a cell say of it.

# The k nearest other cells of each cell (of the cells `subset`) by Euclidean distance, exactly: integers, cells x k.
# The search starts from a random clustering of the cells, which does not change what it finds, but for cells at equal
# distances: a fixed seed makes it find the same ones each time, and leaves the session's stream alone.
nearest_neighbours <- function(x, k, subset = NULL) {
    # A tree takes next to no time to build, but looks longer for each cell: the better choice for some of the cells.
    search <- if (is.null(subset)) by_clusters() else BiocNeighbors::VptreeParam()
    n_asked <- if (is.null(subset)) nrow(x) else length(subset)
    search_in_parallel(BiocNeighbors::findKNN, n_asked, x, k = k, subset = subset, get.distance = FALSE,
        BNPARAM = search)$index
}

# `search`, of BiocNeighbors, for so many cells. It finds the same on any number of threads.
search_in_parallel <- function(search, n_asked, ...) {
    run <- function(threads) with_r_seed(1L, without_search_warnings(do.call(search, c(list(...), threads))))
    threads <- search_threads(n_asked)
    if (!"BPPARAM" %in% names(threads)) return(run(threads))
    # Not every system lets processes fork, or talk to each other.
    tryCatch(run(threads), error = function(e) run(list()))
}

# What tells BiocNeighbors to use num_threads(): threads of its own from 2.0 on. Before, it forks processes, which takes
# tenths of a second and is not for consoles with windows of their own (?parallel::mcfork).
search_threads <- function(n_asked, version = utils::packageVersion("BiocNeighbors")) {
    n <- num_threads()
    if (version >= "2.0") return(list(num.threads = n))
    forks <- n > 1 && n_asked >= least_for_forks && .Platform$OS.type == "unix" && Sys.getenv("RSTUDIO") != "1" &&
        .Platform$GUI != "AQUA" && requireNamespace("BiocParallel", quietly = TRUE)
    if (forks) list(BPPARAM = BiocParallel::MulticoreParam(n)) else list()
}

least_for_forks <- 10000

# One iteration of k-means serves the search as well as the ten of the default, which take as long as the search itself.
# BiocNeighbors from 2.0 on clusters in its own, fast way, and takes no notice.
by_clusters <- function() BiocNeighbors::KmknnParam(iter.max = 1L)

# BiocNeighbors before 2.0 warns of equal distances, as cells that occur twice have them, and of k-means that did not
# converge.
without_search_warnings <- function(expr) {
    withCallingHandlers(expr, warning = function(w) {
        if (grepl("tied distances|converge|Quick-TRANSfer", conditionMessage(w))) invokeRestart("muffleWarning")
    })
}

# The k nearest known cells of each asked one: integers, asked cells x k.
nearest_known <- function(known, asked, k) {
    search_in_parallel(BiocNeighbors::queryKNN, nrow(asked), unname(known), unname(asked), k = k, get.distance = FALSE,
        BNPARAM = by_clusters())$index
}

# Of the k nearest known cells of each asked one, the share that has each label: asked cells x labels.
neighbour_shares <- function(known, label, asked, k) shares_of_labels(nearest_known(known, asked, k), label)

# The shares of labels (a factor of the known cells) among the neighbours `near` (indices of known cells, asked cells x
# neighbours).
shares_of_labels <- function(near, label) {
    shares <- matrix(0, nrow(near), nlevels(label), dimnames = list(NULL, levels(label)))
    for (j in seq_len(ncol(near))) {
        at <- cbind(seq_len(nrow(near)), as.integer(label)[near[, j]])
        shares[at] <- shares[at] + 1 / ncol(near)
    }
    shares
}

#' Expression of cells, guessed from their nearest neighbours
#'
#' For cells measured in one way (or imputed), the expression of the cells nearest to them that were measured in
#' another: the mean of the `k` nearest, weighted by the inverse of their Euclidean distance. Cells at distance 0
#' outweigh all others.
#'
#' @param latent1 coordinates of the cells whose expression is known: a numeric matrix of cells x dimensions.
#' @param expression1 their expression: a numeric matrix of cells x genes.
#' @param latent2 coordinates, in the same space, of the cells whose expression is asked for.
#' @param k number of neighbours; all cells of `latent1` if there are fewer, with a warning.
#' @return A matrix of the cells of `latent2` x genes, with the row names of `latent2` and the column names of
#'   `expression1`.
#' @section Errors: `rscvi_invalid_argument` for values that are missing or infinite, and for matrices that do not fit.
#' @references Definition: scvi 0.6.8, `inference/posterior_utils.py`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch"), 50, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 8, n_latent = 5, seed = 1)
#' known <- Posterior(vae, dataset, indices = 1:1000)
#' asked <- Posterior(vae, dataset, indices = 1001:1010)
#' proximity_imputation(latent_matrix(known), log1p(raw_data(known)$X), latent_matrix(asked))[1:3, 1:4]
#' @export
proximity_imputation <- function(latent1, expression1, latent2, k = 4) {
    dimension_names <- list(rownames(latent2), colnames(expression1))
    latent1 <- check_coordinates(latent1, "latent1", least_cells = 1L)
    expression1 <- check_coordinates(expression1, "expression1", least_cells = 1L)
    latent2 <- check_coordinates(latent2, "latent2", least_cells = 1L)
    if (nrow(expression1) != nrow(latent1)) {
        abort_rscvi("{.arg expression1} must have one row for each row of {.arg latent1} ({nrow(latent1)}), not
                     {nrow(expression1)}.")
    }
    if (ncol(latent2) != ncol(latent1)) {
        abort_rscvi("{.arg latent2} must have as many columns as {.arg latent1} ({ncol(latent1)}), not
                     {ncol(latent2)}.")
    }
    k <- resolve_neighbours(k, "k", nrow(latent1))
    near <- search_in_parallel(BiocNeighbors::queryKNN, nrow(latent2), latent1, latent2, k = k, BNPARAM = by_clusters())
    weight <- 1 / near$distance
    exact <- rowSums(near$distance == 0) > 0
    weight[exact, ] <- near$distance[exact, ] == 0
    weight <- weight / rowSums(weight)
    imputed <- matrix(0, nrow(latent2), ncol(expression1), dimnames = dimension_names)
    for (j in seq_len(k)) imputed <- imputed + weight[, j] * expression1[near$index[, j], , drop = FALSE]
    imputed
}
