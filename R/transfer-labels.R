# Labels of some cells, carried over to the others: along nearest neighbours, and by the classifier.

#' Carry the known labels over to the cells without one
#'
#' Of the cells of a posterior some have a label. Two opinions tell the others': the classifier of the model, if it has
#' one ([compute_predictions()]), and the neighbours in latent space, from cell to cell, so that what counts is how
#' cells lie together and not only how far the next labelled one is. [runSCANVI()] labels cells by this.
#'
#' 1. Cells are joined to their `k` nearest cells in latent space (Euclidean distance), both ways. With \eqn{W} the
#'    number of times that two cells name each other and \eqn{D} its row sums, \eqn{S = D^{-1/2} W D^{-1/2}}. The known
#'    labels \eqn{Y} (a one in the column of each labelled cell's label) spread by
#'    \eqn{F \leftarrow \alpha S F + (1 - \alpha) Y} until the rest is below a thousandth (Zhou et al. 2004). The rows
#'    of \eqn{F} become probabilities.
#' 2. The mean of these and of the classifier's. A cell that no label reaches has the classifier's alone, or, without a
#'    classifier, the labels' shares among the labelled cells.
#' 3. If `shares`: labels are as frequent among the cells without one as their probabilities there say, not as among the
#'    labelled ones, of which there may be as many of each kind because somebody picked them so. Each probability is
#'    multiplied by the ratio of the two shares, and the rows add up to 1 again: one step of the
#'    expectation-maximisation of Saerens et al. (2002). Ten cells a label count as seen with the shares of the labelled
#'    ones, so that a few cells change little.
#'
#' A labelled cell keeps most of its weight but can be outvoted, too, where its neighbours and the classifier agree on
#' another label: such a cell is worth a look.
#'
#' # How good it is
#' Accuracy of the labels that [runSCANVI()] writes, of 20 labelled cells of each type, beside the classifier of its
#' SCANVI alone, the vote of the 5 nearest labelled cells in the latent space of its VAE, and logistic regression on the
#' same cells (`bench/ANNOTATION.md` in the source):
#'
#' | data | fits | with both | classifier | 5 nearest | logistic regression |
#' |:-----|:-----|:----------|:-----------|:----------|:--------------------|
#' | pbmc4k_labelled | 9 | .890 | .885 | .873 | .872 |
#' | worm_l2 | 9 | .970 | .926 | .941 | .910 |
#' | cbmc_cite | 3 | .840 | .814 | .815 | |
#' | kang_labelled ([example_pbmc()]) | 3 | .902 | .893 | .891 | |
#'
#' `shares` is wrong where labelled and unlabelled cells lie apart because of something that the model was not told: the
#' frequencies that it sees there are mistakes, and it adds to them. From control to stimulated cells of
#' [example_pbmc()], the condition not given as batch, three seeds had .879 with `shares` and .891 without; with the
#' condition as batch .916 and .915. Give such a thing as batch, or `shares = FALSE`. [map_query()], whose cells the
#' model has not seen, does without.
#'
#' @param post a [Posterior()] some of whose cells have a label and others `NA`; its model may be one without
#'   classifier, such as [VAE()].
#' @param k number of neighbours of each cell.
#' @param alpha from 0 to 1, both excluded: how far labels spread. Probabilities become less sure with more of it.
#' @param shares whether to estimate how frequent labels are among the cells without one.
#' @param soft `TRUE` gives the probability of every label.
#' @return A data.frame like that of [compute_predictions()]: a row for each cell, in the order of `indices(post)`, its
#'   name as row name, with `label` (`NA` if it has none), `prediction` and its `probability`; with `soft = TRUE`
#'   `label` and a column for each label.
#' @section Errors: `rscvi_single_group` if the cells have fewer than two different labels; `rscvi_too_few_cells` for
#'   fewer than two cells.
#' @section Differences from scvi 0.6.8: it has no such thing.
#' @references Zhou et al. (2004) *Advances in Neural Information Processing Systems* 16:321. Saerens, Latinne and
#'   Decaestecker (2002) *Neural Computation* 14:21.
#' @examples
#' sce <- example_pbmc()
#' known <- replace(as.character(sce$cell_type), seq_len(ncol(sce)) %% 20 > 0, NA)
#' sce <- runSCVI(sce, batch = "batch", labels = known, n_epochs = 10, n_hidden = 32, seed = 1)
#' predicted <- transfer_labels(posterior(sce))
#' head(predicted, 3)
#' table(predicted$prediction, sce$cell_type)
#' @name transfer_labels
NULL

#' @rdname transfer_labels
#' @export
setMethod("transfer_labels", "Posterior", function(post, k = 15, alpha = 0.8, shares = TRUE, soft = FALSE) {
    check_model_of_counts(post@model, what = "The model of {.arg post}")
    k <- check_count(k, "k", lower = 1L)
    alpha <- check_number(alpha, "alpha", 0, 1, lower_open = TRUE, upper_open = TRUE)
    check_flag(shares, "shares")
    check_flag(soft, "soft")
    check_has_cells(post@indices)
    label <- posterior_labels(post)
    by_classifier <- if (has_classifier(post@model)) label_probabilities(post)
    known <- if (is.null(by_classifier)) droplevels(label)
        else factor(as.character(label), levels = colnames(by_classifier))
    n_labels <- nlevels(droplevels(known))
    if (n_labels < 2L) {
        abort_rscvi(c("The cells have {n_labels} different label{?s}: there is nothing to tell apart.",
            i = "It takes cells of at least two labels."), class = "single_group")
    }
    q <- either_opinion(spread_labels(latent_matrix(post), known, k, alpha), by_classifier, known)
    if (shares) q <- with_estimated_shares(q, known)
    rownames(q) <- posterior_cell_names(post)
    predictions_table(label, q, soft)
})

# Probabilities (cells x labels) of the labels that reach each cell from those that are known (a factor, NA where not);
# NA in the rows of cells that none reaches.
spread_labels <- function(latent, known, k, alpha) {
    graph <- neighbour_graph(latent, resolve_neighbours(k, "k", nrow(latent) - 1L))
    start <- matrix(0, nrow(latent), nlevels(known), dimnames = list(NULL, levels(known)))
    labelled <- which(!is.na(known))
    start[cbind(labelled, as.integer(known)[labelled])] <- 1 - alpha
    mass <- start
    for (i in seq_len(ceiling(log(1e-3) / log(alpha)))) mass <- alpha * as.matrix(graph %*% mass) + start
    mass / replace(rowSums(mass), rowSums(mass) == 0, NA)
}

# Cells joined to their nearest ones, both ways, and each edge divided by the root of both cells' sums.
neighbour_graph <- function(latent, k) {
    n <- nrow(latent)
    near <- Matrix::sparseMatrix(rep(seq_len(n), k), as.vector(nearest_neighbours(unname(latent), k)), x = 1,
        dims = c(n, n))
    both_ways <- near + Matrix::t(near)
    scale <- Matrix::Diagonal(x = 1 / sqrt(Matrix::rowSums(both_ways)))
    scale %*% both_ways %*% scale
}

# The mean of two tables of probabilities; one alone where the other is not there; the labels' shares where neither is.
either_opinion <- function(by_neighbours, by_classifier, known) {
    unreached <- is.na(by_neighbours[, 1L])
    if (is.null(by_classifier)) {
        frequency <- as.vector(table(known)) / sum(!is.na(known))
        by_neighbours[unreached, ] <- rep(frequency, each = sum(unreached))
        return(by_neighbours)
    }
    by_neighbours[unreached, ] <- by_classifier[unreached, ]
    (by_neighbours + by_classifier) / 2
}

# Few cells say little of how frequent labels are: as if ten cells a label more had been seen, in the shares of the
# known ones; and these as if each label had been seen once more, which keeps the ratio finite.
with_estimated_shares <- function(q, known) {
    asked <- is.na(known)
    if (!any(asked)) return(q)
    share_known <- (as.vector(table(known)) + 1) / (sum(!asked) + ncol(q))
    n_before <- 10 * ncol(q)
    share <- (colSums(q[asked, , drop = FALSE]) + n_before * share_known) / (sum(asked) + n_before)
    adjusted <- q[asked, , drop = FALSE] * rep(share / share_known, each = sum(asked))
    q[asked, ] <- adjusted / rowSums(adjusted)
    q
}
