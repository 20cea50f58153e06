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
#'    \eqn{F \leftarrow \alpha S F + (1 - \alpha) Y}{F <- alpha S F + (1 - alpha) Y} (Zhou et al. 2004). The rows of
#'    \eqn{F}, divided by their sums, are probabilities; it goes on until none is off by more than a thousandth.
#' 2. The mean of these and of the classifier's. A cell that no label reaches, as none of its neighbours' neighbours and
#'    so on has one, has the classifier's alone, or, without a classifier, the labels' shares among the labelled cells.
#' 3. If `shares`, of the cells without a label: labels are as frequent among them as their probabilities say, not as
#'    among the labelled ones, of which there may be as many of each kind because somebody picked them so. Each
#'    probability is multiplied by the ratio of the two shares, and the rows add up to 1 again: one step of the
#'    expectation-maximisation of Saerens et al. (2002), as if the probabilities were right for the labelled cells'
#'    shares. Ten cells a label count as seen with these shares, so that a few cells change little, and each label as
#'    seen once more among the labelled cells.
#'
#' `prediction` need not be `label` where there is one: the more cells have a label, the more a cell's neighbours count
#' beside its own. Of the labels of [example_pbmc()] spreading alone outvotes none of 20 a type, and one in ten of all.
#' Such cells are worth a look.
#'
#' All cells count, those without a label, too: ask for all cells of an experiment together. 100,000 cells took 11 s on
#' one thread, 300,000 took 72 s (ten dimensions, twenty labels), most of it for finding neighbours, exactly.
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
#' model has not seen, does without. `transfer_labels(posterior(x, "SCANVI"), shares = FALSE)` for what [runSCANVI()]
#' returned.
#'
#' @param post a [Posterior()] some of whose cells have a label and others `NA`; its model may be one without
#'   classifier, such as [VAE()].
#' @param k number of neighbours of each cell; the default is less for fewer than 16 cells.
#' @param alpha more than 0 and at most .99: how far labels spread. Probabilities become less sure with more of it.
#' @param shares whether to estimate how frequent labels are among the cells without one.
#' @param soft `TRUE` gives the probability of every label.
#' @return A data.frame like that of [compute_predictions()]: a row for each cell, in the order of `indices(post)`, its
#'   name as row name, with `label` (`NA` if it has none), `prediction` and its `probability`; with `soft = TRUE`
#'   `label` and a column for each label.
#' @section Errors: `rscvi_single_group` if the cells have fewer than two different labels; `rscvi_labels_in_latent` for
#'   a [VAEC()], which places a cell by its label; `rscvi_no_model_of_counts` for a [Classifier()];
#'   `rscvi_empty_posterior` if there is no cell. A warning `rscvi_few_cells` if `k` is as large as the number of cells.
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
    check_places_without_labels(post@model)
    check_has_cells(post@indices)
    k <- resolve_neighbours(k, "k", nb_cells(post) - 1L, is_given = !missing(k))
    alpha <- check_number(alpha, "alpha", 0, 0.99, lower_open = TRUE)
    check_flag(shares, "shares")
    check_flag(soft, "soft")
    label <- posterior_labels(post)
    by_classifier <- if (has_classifier(post@model)) label_probabilities(post)
    known <- if (is.null(by_classifier)) label else factor(as.character(label), levels = colnames(by_classifier))
    n_labels <- nlevels(droplevels(known))
    if (n_labels < 2L) {
        abort_rscvi(c("The cells have {n_labels} different label{?s}: there is nothing to tell apart.",
            i = "It takes a posterior of cells with at least two labels and of those without one, such as all cells.
                 {.fn compute_predictions} asks the classifier alone."), class = "single_group")
    }
    latent <- check_coordinates(latent_matrix(post), "latent_matrix(post)")
    q <- either_opinion(spread_labels(latent, known, k, alpha), by_classifier, known)
    if (shares) q <- with_estimated_shares(q, known)
    rownames(q) <- posterior_cell_names(post)
    predictions_table(label, q, soft)
})

# Its z is what the label does not explain, and which one that is it takes from the cell's label, or guesses.
places_by_labels <- function(model) methods::is(model, "VAEC")

check_places_without_labels <- function(model) {
    if (!places_by_labels(model)) return(invisible(model))
    abort_rscvi(c("A {.cls VAEC} places a cell in latent space by its label: neighbours there do not tell labels.",
        i = "Ask its classifier, by {.fn compute_predictions}, or train a {.fn SCANVI}."), class = "labels_in_latent")
}

# Probabilities (cells x labels) of the labels that reach each cell from those that are known (a factor, NA where not);
# NA in the rows of cells that none reaches. Once all cells are reached that can be, each step changes probabilities by
# about `alpha` times as much as the step before: what is left to change is then within `precision`.
spread_labels <- function(latent, known, k, alpha, precision = 1e-3) {
    graph <- neighbour_graph(latent, k)
    start <- matrix(0, nrow(latent), nlevels(known), dimnames = list(NULL, levels(known)))
    labelled <- which(!is.na(known))
    start[cbind(labelled, as.integer(known)[labelled])] <- 1 - alpha
    mass <- start
    q <- 0
    repeat {
        before <- q
        total <- rowSums(mass)
        q <- mass / replace(total, total == 0, 1)
        if (max(abs(q - before)) <= precision * (1 - alpha)) break
        mass <- alpha * as.matrix(graph %*% mass) + start
    }
    replace(q, total == 0, NA)
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
