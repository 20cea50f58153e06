# Pictures of the latent space.

#' Lay out cells in two dimensions by t-SNE
#'
#' t-distributed stochastic neighbour embedding (van der Maaten 2014) of a random choice of cells, by [Rtsne::Rtsne()],
#' without a principal component analysis before it. Coordinates of two dimensions are returned as they are.
#'
#' @param latent a numeric matrix of cells x dimensions, such as [latent_matrix()] gives.
#' @param n_samples number of cells to choose, at random; `NULL`: all cells. Above some 20,000, t-SNE takes minutes.
#' @param perplexity perplexity, roughly how many neighbours a cell has; at most a sixth of the number of cells is used.
#' @param seed integer that decides the choice and the layout; `NULL` draws one from R's generator.
#' @return A list: `latent`, a matrix of the chosen cells x 2, and `idx_t_sne`, their rows in `latent`, in random order.
#' @section Errors: `rscvi_too_few_cells` for fewer than 4 cells; `rscvi_invalid_argument` for values that are missing
#'   or infinite.
#' @section Differences from scvi 0.6.8: fewer than 31 cells work; with two dimensions, too, only the chosen cells are
#'   returned (there all, so that colours went to the wrong cells).
#' @references van der Maaten (2014) Accelerating t-SNE using tree-based algorithms. *Journal of Machine Learning
#'   Research* 15:3221-3245.
#' @examples
#' layout <- apply_t_sne(as.matrix(iris[1:4]), n_samples = 100, seed = 1)
#' plot(layout$latent, col = iris$Species[layout$idx_t_sne])
#' @export
apply_t_sne <- function(latent, n_samples = 1000, perplexity = 30, seed = NULL) {
    names <- rownames(latent)
    latent <- check_coordinates(latent, "latent")
    perplexity <- check_number(perplexity, "perplexity", lower = 1)
    with_r_seed(seed, {
        idx <- choose_cells(nrow(latent), n_samples)
        layout <- lay_out(latent[idx, , drop = FALSE], perplexity)
    })
    dimnames(layout) <- list(names[idx], NULL)
    list(latent = layout, idx_t_sne = idx)
}

choose_cells <- function(n, n_samples) {
    n_samples <- check_optional(n_samples, "n_samples", check_count)
    sample.int(n, if (is.null(n_samples)) n else min(n, n_samples))
}

least_cells_for_t_sne <- 4L

lay_out <- function(x, perplexity = 30) {
    if (ncol(x) == 2L) return(x)
    check_enough_cells(nrow(x), least_cells_for_t_sne)
    # Rtsne takes up to a third; but then the groups of few cells become dots in the corners of the picture.
    perplexity <- min(perplexity, max(1, (nrow(x) - 1) %/% 6))
    # Steps that are large enough for many cells: Belkina et al. (2019), Nature Communications 10:5415.
    Rtsne::Rtsne(x, perplexity = perplexity, eta = max(200, nrow(x) / 12), pca = FALSE, check_duplicates = FALSE)$Y
}

#' Show the latent space
#'
#' Draws a random choice of a posterior's cells by [apply_t_sne()] of one draw from \eqn{q(z|x)} each, or as they are
#' where the latent space has two dimensions.
#'
#' `color_by` is one of
#' * `""`: one colour for all;
#' * `"labels"`, `"batches"`, or `"batches and labels"` for both, side by side;
#' * `"scalar"`: the numbers given as `labels`;
#' * the name of a column of [cell_data()]: a colour for each value of a factor, text or logical column, a colour scale
#'   for a numeric one;
#' * the name of a gene: ln(1 + count).
#'
#' A word of the list goes before a column, and a column before a gene of the same name. Up to 20 groups have colours
#' that can be told apart without telling red from green. From 9 groups on their names are also written where they lie;
#' or, where names are long, numbers that the legend gives.
#'
#' @param post a [Posterior()].
#' @param n_samples number of cells to draw at most; `NULL`: all.
#' @param color_by what colours mean, see Details.
#' @param save_name file to save the picture to, in the format that its extension says (`.png` if it has none); `""`:
#'   none.
#' @param latent `NULL`, or other coordinates to draw: a matrix with one row a cell. Two columns are drawn as they are.
#' @param batch_indices,labels `NULL`: those of the posterior's cells; or others, one for each row of `latent` (for each
#'   of the posterior's cells without `latent`).
#' @param n_batch `NULL`, or the number of batches to show: cells of the first `n_batch` levels alone are drawn.
#' @param seed integer that decides the choice of cells, the draws of z and the layout; `NULL` draws one from R's
#'   generator.
#' @return A ggplot, to print, change or save; invisibly if it was saved. Its data has the columns `x`, `y`, `cell` (row
#'   of `latent`, or place in `indices(post)`) and `colour`, or `batches` and `labels`: what colours are taken from.
#' @section Errors: `rscvi_invalid_argument` for a `color_by` that is nothing of the list, values that are missing or of
#'   the wrong number; `rscvi_too_few_cells` for fewer than 4 cells; `rscvi_unwritable_file` if the picture cannot be
#'   saved.
#' @section Differences from scvi 0.6.8: returns a ggplot; legends name batches; columns and genes; `"scalar"` shows the
#'   numbers given (there the labels' codes, unless `latent` was given too); few cells and two dimensions work, see
#'   [apply_t_sne()].
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
#' dataset <- subsample_genes(dataset, 100, mode = "variance")
#' vae <- VAE(dataset, n_hidden = 16, n_latent = 5, seed = 1)
#' train(UnsupervisedTrainer(vae, dataset), n_epochs = 20, lr = 1e-2, seed = 1)
#' post <- Posterior(vae, dataset)
#' show_t_sne(post, n_samples = 300, color_by = "labels", seed = 1)
#' \donttest{
#' show_t_sne(post, color_by = "batches and labels", seed = 1)
#' show_t_sne(post, color_by = "donor", seed = 1)
#' show_t_sne(post, color_by = "FTL", seed = 1)
#' }
#' @name show_t_sne
NULL

#' @rdname show_t_sne
#' @export
setMethod("show_t_sne", "Posterior", function(post, n_samples = 1000, color_by = "", save_name = "", latent = NULL,
                                              batch_indices = NULL, labels = NULL, n_batch = NULL, seed = NULL) {
    save_name <- check_save_name(save_name)
    seed <- resolve_seed(seed)
    if (is.null(latent)) check_has_cells(post@indices) else {
        latent <- check_coordinates(latent, "latent", least_cells = 1L)
    }
    n <- if (is.null(latent)) nb_cells(post) else nrow(latent)
    colours <- picture_colours(post, check_string(color_by, "color_by"), n, batch_indices, labels)
    shown <- which(in_first_batches(post, n, batch_indices, n_batch))
    check_enough_cells(length(shown), 1L)
    chosen <- with_r_seed(seed, shown[choose_cells(length(shown), n_samples)])
    # Only the chosen cells are encoded.
    z <- if (is.null(latent)) {
        latent_matrix(update_sampler_indices(post, post@indices[chosen]), give_mean = FALSE, seed = seed)
    } else latent[chosen, , drop = FALSE]
    layout <- with_r_seed(seed, lay_out(unname(z)))
    points <- data.frame(x = layout[, 1L], y = layout[, 2L], cell = chosen)
    # In the random order in which they were chosen, so that no group lies on top of the others.
    colours <- lapply(colours, function(colour) {
        colour$values <- colour$values[chosen]
        colour
    })
    picture <- cell_picture(points, colours, axes = paste(if (ncol(z) == 2L) "latent" else "t-SNE", 1:2))
    if (is.null(save_name)) return(picture)
    save_picture(picture, save_name, width = if (length(colours) > 1L) 12 else 7.5, height = 5.5)
    invisible(picture)
})

in_first_batches <- function(post, n, batch_indices, n_batch) {
    if (is.null(n_batch)) return(rep(TRUE, n))
    as.integer(picture_groups(post, "batches", n, batch_indices)) <= check_count(n_batch, "n_batch")
}

# What colours mean ----------------------------------------------------------------------------------------------------

# A list with one element for each panel, by the column that it makes: `values`, one a cell, and `legend`, what they
# are.
picture_colours <- function(post, color_by, n, batch_indices, labels) {
    batches <- function() list(values = picture_groups(post, "batches", n, batch_indices), legend = "batch")
    types <- function() list(values = picture_groups(post, "labels", n, labels), legend = "label")
    switch(color_by,
        "batches" = list(colour = batches()),
        "labels" = list(colour = types()),
        "batches and labels" = list(batches = batches(), labels = types()),
        "scalar" = list(colour = list(values = picture_scalar(labels, n), legend = "value")),
        if (nzchar(color_by)) list(colour = picture_feature(post, color_by, n)) else list()
    )
}

picture_groups <- function(post, what, n, given) {
    arg <- if (what == "batches") "batch_indices" else "labels"
    if (!is.null(given)) return(cell_factor(unname(given), arg, n, NULL))
    check_rows_are_cells(post, n, sprintf("their %s", what), sprintf("Give them as {.arg %s}.", arg))
    if (what == "batches") posterior_batches(post) else posterior_labels(post)
}

picture_scalar <- function(values, n) {
    if (is.null(values)) {
        abort_rscvi(c("{.code color_by = \"scalar\"} needs numbers.",
            i = "Give them as {.arg labels}, one a cell."))
    }
    if (!is.numeric(values) || length(values) != n || !is.null(dim(values))) {
        abort_rscvi("{.arg labels} must be a numeric vector with one element a cell ({n}) for
                     {.code color_by = \"scalar\"}, not {describe_value(values)}.")
    }
    as.numeric(values)
}

# A column of the cells' data, or a gene.
picture_feature <- function(post, name, n) {
    dataset <- post@gene_dataset
    columns <- cell_data(dataset)
    is_column <- name %in% colnames(columns)
    if (!is_column && !name %in% gene_names(dataset)) {
        known <- colnames(columns)
        abort_rscvi(c("{.arg color_by} is {.val {name}}, which is neither a column of the cells' data nor a gene.",
            i = "It may be {.val labels}, {.val batches}, {.val batches and labels}, {.val scalar}, a gene{if
                 (length(known)) ' or a column:'} {.val {known}}."))
    }
    check_rows_are_cells(post, n, if (is_column) "this column" else "this gene",
        "Leave out {.arg latent}, or give the values as {.arg labels} with {.code color_by = \"scalar\"}.")
    if (!is_column) {
        counts <- if (post@use_corrupted) corrupted_counts(dataset) else dataset@counts
        return(list(values = log1p(unname(counts[name, post@indices])), legend = paste0(name, "\nln(1 + count)")))
    }
    values <- columns[[name]]
    if (methods::is(values, "Rle")) values <- S4Vectors::decode(values)
    if (!is.atomic(values) || !is.null(dim(values))) {
        abort_rscvi("Column {.val {name}} of the cells' data is {describe_value(values)}: no values to colour by.")
    }
    values <- values[post@indices]
    list(values = if (is.numeric(values)) as.numeric(values) else droplevels(as.factor(values)), legend = name)
}

check_rows_are_cells <- function(post, n, what, advice) {
    if (n != nb_cells(post)) {
        abort_rscvi(c(paste0("{.arg latent} has {n} row{?s}, but the posterior has {nb_cells(post)} cell{?s}: ", what,
            " cannot be told."), i = advice))
    }
}
