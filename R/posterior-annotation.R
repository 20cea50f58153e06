# The labels that a model predicts, and how right they are.

#' Labels of cells, as the model predicts them
#'
#' For posteriors of models with a classifier ([SCANVI()], [VAEC()]) and of a [Classifier()]: \eqn{q(y|x)} of every
#' cell.
#'
#' * `compute_predictions()`, and [predict()], which does the same: labels and how sure they are.
#' * `accuracy()`: the share of cells whose label is the most probable one, of those that have a label.
#' * `hierarchical_accuracy()`: the same of the groups of labels (`labels_groups` of [SCANVI()]).
#' * `unsupervised_classification_accuracy()`: the accuracy if the predicted labels were renamed as suits best, see
#'   [unsupervised_clustering_accuracy()].
#' * `nn_latentspace()`: the accuracy in `other` of the label that most of the 5 nearest cells of `post` have in latent
#'   space (of labels that tie, the first).
#'
#' [clustering_scores()] and [knn_purity()] hold a latent space against labels without any prediction.
#'
#' @param post,object,other posteriors.
#' @param soft `TRUE` gives the probability of every label.
#' @return `compute_predictions()`: a data.frame with one row a cell, in the order of `indices(post)`, its name as row
#'   name: `label` (`NA` if it has none), `prediction` and its `probability`; with `soft = TRUE` `label` and a column
#'   for each label. The others: one number from 0 to 1, `NA` if no cell has a label.
#' @section Errors: `rscvi_no_classifier` if the model predicts no labels; `rscvi_single_group` if no cell has a label,
#'   where one is needed.
#' @section Differences from scvi 0.6.8: a plain posterior's `accuracy()` is `None` there; its `hierarchical_accuracy()`
#'   is that of labels, not of groups. Predictions have names.
#' @references scvi 0.6.8, `inference/annotation.py`.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' scanvi <- SCANVI(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' trainer <- SemiSupervisedTrainer(scanvi, dataset, n_labelled_samples_per_class = 20)
#' train(trainer, n_epochs = 3, seed = 1)
#' post <- unlabelled_set(trainer)
#' head(compute_predictions(post), 3)
#' accuracy(post)
#' nn_latentspace(labelled_set(trainer), post)
#' @name accuracy
NULL

check_classifies <- function(post) {
    if (has_classifier(post@model) || is_classifier(post@model)) return(invisible(post))
    abort_rscvi(c("A {.cls {class(post@model)}} predicts no labels.",
        i = "It takes a model with a classifier, such as {.fn SCANVI}. For a latent space see {.fn clustering_scores}
             and {.fn knn_purity}."), class = "no_classifier")
}

label_probabilities <- function(post) {
    check_classifies(post)
    q <- if (is_classifier(post@model)) classifier_probabilities(post)
        else core(posterior_label_probabilities_cpp(posterior_core(post)))
    names <- post@model@label_levels
    if (is.null(names)) names <- cell_types(post@gene_dataset)
    dimnames(q) <- list(posterior_cell_names(post), names)
    q
}

most_probable <- function(q) factor(colnames(q)[max.col(q, ties.method = "first")], levels = colnames(q))

share_of_right <- function(truth, prediction) {
    right <- as.character(truth) == as.character(prediction)
    if (all(is.na(right))) NA_real_ else mean(right, na.rm = TRUE)
}

#' @rdname accuracy
#' @export
setMethod("compute_predictions", "Posterior", function(post, soft = FALSE) {
    check_flag(soft, "soft")
    q <- label_probabilities(post)
    predictions_table(posterior_labels(post), q, soft)
})

# Of probabilities q (cells x labels) and the labels that the cells have.
predictions_table <- function(label, q, soft = FALSE) {
    if (soft) return(data.frame(label = label, q, check.names = FALSE, row.names = rownames(q)))
    data.frame(label = label, prediction = most_probable(q), probability = do.call(pmax, as.data.frame(q)),
        row.names = rownames(q))
}

#' @rdname accuracy
#' @export
setMethod("predict", "Posterior", function(object, soft = FALSE) compute_predictions(object, soft = soft))

#' @rdname accuracy
#' @export
setMethod("accuracy", "Posterior", function(post) {
    share_of_right(posterior_labels(post), most_probable(label_probabilities(post)))
})

#' @rdname accuracy
#' @export
setMethod("hierarchical_accuracy", "Posterior", function(post) {
    predicted <- as.integer(most_probable(label_probabilities(post)))
    groups <- post@model@options$labels_groups
    if (is.null(groups)) {
        abort_rscvi(c("The model of this posterior has no groups of labels.",
            i = "Give {.arg labels_groups} and {.code use_labels_groups = TRUE} when {.fn SCANVI} is made."))
    }
    share_of_right(groups[as.integer(posterior_labels(post))], groups[predicted])
})

#' @rdname accuracy
#' @export
setMethod("unsupervised_classification_accuracy", "Posterior", function(post) {
    check_classifies(post)
    post <- labelled_cells(post)
    unsupervised_clustering_accuracy(posterior_labels(post), most_probable(label_probabilities(post)))$accuracy
})

#' @rdname accuracy
#' @export
setMethod("nn_latentspace", "Posterior", function(post, other) {
    check_class(other, "other", "Posterior")
    post <- labelled_cells(post)
    other <- labelled_cells(other)
    k <- resolve_neighbours(5L, "5 neighbours", nb_cells(post))
    shares <- neighbour_shares(latent_matrix(post), posterior_labels(post), latent_matrix(other), k)
    share_of_right(posterior_labels(other), most_probable(shares))
})

#' Accuracy, label by label
#'
#' @param y,y_pred labels and predictions: vectors or factors of the same length.
#' @return A list: `unweighted`, the share of right predictions; `weighted`, the mean over labels of each label's share;
#'   `worst`, the smallest of these; `accuracy_classes`, all of them, named. These are scvi 0.6.8's names, although the
#'   first weighs labels by their size.
#' @references scvi 0.6.8, `inference/annotation.py`.
#' @examples
#' compute_accuracy_tuple(c("a", "a", "a", "b"), c("a", "a", "b", "b"))
#' @export
compute_accuracy_tuple <- function(y, y_pred) {
    y <- check_values(y, "y")
    y_pred <- check_values(y_pred, "y_pred")
    if (length(y) != length(y_pred)) {
        abort_rscvi("{.arg y} and {.arg y_pred} must have the same length, not {length(y)} and {length(y_pred)}.")
    }
    right <- as.character(y) == as.character(y_pred)
    by_label <- vapply(split(right, droplevels(as.factor(y))), mean, numeric(1L))
    list(unweighted = mean(right), weighted = mean(by_label), worst = min(by_label), accuracy_classes = by_label)
}
