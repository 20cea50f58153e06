# The training curve.

#' Plot how training went
#'
#' @param trainer a trainer that was trained, see [train()]; or a `SingleCellExperiment` that [runSCVI()] or
#'   [runSCANVI()] returned.
#' @param metric `"loss"` (mean of the training loss over an epoch), or a metric that was recorded for sets of cells:
#'   `"elbo"`, `"reconstruction_error"`. `NULL`: `"elbo"` if it was recorded, else `"loss"`.
#' @param name of the fit in a `SingleCellExperiment`, see [posterior()].
#' @return A ggplot of the metric, in nats per cell, by epoch, one line for each set of cells. Smaller is better. Epoch
#'   0, before training, is left out, as it would flatten the rest.
#' @section Errors: `rscvi_not_trained` before training, `rscvi_no_fit` if there is no fit of that name;
#'   `rscvi_invalid_argument` for a metric that was not recorded.
#' @seealso [history()] for the numbers.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8, seed = 1), dataset, frequency = 1)
#' train(trainer, n_epochs = 5, lr = 1e-2, seed = 1)
#' plot_history(trainer)
#'
#' sce <- runSCVI(example_pbmc(), batch = "batch", n_epochs = 4, n_hidden = 16, frequency = 1, seed = 1)
#' plot_history(sce)
#' @export
plot_history <- function(trainer, metric = NULL, name = NULL) {
    curve <- history(trainer, name = name)
    if (is.null(curve)) {
        abort_rscvi(c("This trainer has not been trained.", i = "Use {.fn train}."), class = "not_trained")
    }
    curve <- curve[curve$epoch > 0, , drop = FALSE]
    recorded <- Filter(function(name) any(is.finite(curve[[name]])), grep("_set$", names(curve), value = TRUE))
    metrics <- c(unique(sub("_(train|test|validation)_set$", "", recorded)), "loss")
    metric <- if (is.null(metric)) metrics[1L] else check_choice(metric, "metric", metrics)
    columns <- if (metric == "loss") "loss" else recorded[startsWith(recorded, paste0(metric, "_"))]
    sets <- if (metric == "loss") "train set" else chartr("_", " ", substring(columns, nchar(metric) + 2L))
    lines <- data.frame(
        epoch = rep(curve$epoch, length(columns)), value = unlist(curve[columns], use.names = FALSE),
        set = factor(rep(sets, each = nrow(curve)), levels = sets)
    )
    # Of an AdapterTrainer.
    if (!is.null(curve$path)) {
        lines$set <- factor(paste("path", curve$path), levels = unique(paste("path", curve$path)))
        sets <- levels(lines$set)
    }
    lines <- lines[is.finite(lines$value), ]
    names <- c(elbo = "negative ELBO", reconstruction_error = "reconstruction error", loss = "loss")
    name <- if (metric %in% names(names)) names[[metric]] else metric
    ggplot2::ggplot(lines, ggplot2::aes(x = .data$epoch, y = .data$value, colour = .data$set)) +
        ggplot2::geom_line(linewidth = 0.7) +
        # A line of one point is invisible.
        ggplot2::geom_point(size = if (nrow(lines) <= 100L) 1.2 else 0.4) +
        ggplot2::scale_colour_manual(name = NULL, values = stats::setNames(group_colours(length(sets)), sets)) +
        ggplot2::labs(x = "epoch", y = if (metric == "accuracy") name else paste0(name, ", nats per cell")) +
        ggplot2::theme_bw(base_size = 12) +
        ggplot2::theme(panel.grid.minor = ggplot2::element_blank(), legend.position = "top")
}
