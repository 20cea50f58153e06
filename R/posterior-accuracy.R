# Accuracy is a question to models that predict labels; a plain posterior says so.

#' Accuracy of predicted labels
#'
#' The share of a posterior's cells whose label the model predicts: of n cells with labels \eqn{y_i} and predictions
#' \eqn{\hat{y}_i}{p_i}, the number of those with \eqn{\hat{y}_i = y_i}{p_i = y_i}, divided by n. A [VAE()] predicts no
#' labels, so that there is nothing to compare: a plain [Posterior()] gives an error. [clustering_scores()] and
#' [knn_purity()] hold a latent space against labels.
#'
#' @param post a posterior.
#' @param ... arguments of the methods.
#' @return One number from 0 to 1, for a posterior of a model that classifies.
#' @section Errors: `rscvi_no_classifier` for a plain posterior.
#' @section Differences from scvi 0.6.8: there a plain posterior returns `None`.
#' @references scvi 0.6.8, `inference/posterior.py` and `inference/annotation.py`.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), 50, mode = "variance")
#' post <- Posterior(VAE(dataset, n_hidden = 8), dataset)
#' tryCatch(accuracy(post), rscvi_no_classifier = function(e) cat(conditionMessage(e)))
#' @name accuracy
NULL

#' @rdname accuracy
#' @export
setMethod("accuracy", "Posterior", function(post) {
    abort_rscvi(c("A {.cls {class(post@model)}} predicts no labels: it has no accuracy.",
        i = "It takes the annotation posterior of a model with a classifier (SCANVI). For a latent space see
             {.fn clustering_scores} and {.fn knn_purity}."), class = "no_classifier")
})
