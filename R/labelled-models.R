# Models that know of labels, and can tell those of cells that have none.

#' VAEC and SCANVI: models that know of labels
#'
#' Both model the labels y of cells besides their counts, learn from cells without a label as well, and have a
#' classifier \eqn{q(y|x)}.
#'
#' * `SCANVI()` is a [VAE()] of \eqn{z_1} whose prior depends on the label: \eqn{z_1 | z_2, y} with
#'   \eqn{z_2 \sim N(0, I)}; its classifier works on \eqn{z_1} (Xu et al. 2021, *Molecular Systems Biology* 17:e9620;
#'   scvi 0.6.8, `models/scanvi.py`).
#' * `VAEC()` gives the label to the encoder and to the decoder, so that z is what the label does not explain; its
#'   classifier works on \eqn{\ln(1 + x)} (Kingma et al. 2014, "Semi-supervised learning with deep generative models",
#'   M2; scvi 0.6.8, `models/vaec.py`).
#'
#' Where a cell has no label (`NA`), methods that need one, such as [elbo()], take that which the classifier finds most
#' probable.
#'
#' @inheritParams VAE
#' @param n_labels number of labels, at least 2.
#' @param dispersion as for [VAE()]; `SCANVI()` has no `"gene-label"`, as its decoder does not see labels.
#' @param y_prior probability of each label before anything is seen, in the order of the labels; `NULL`: all alike.
#' @param labels_groups,use_labels_groups a group for each label (numbers from 1 without gaps, or a factor), and whether
#'   the classifier first tells the group and then the label within it.
#' @param classifier_parameters list that may hold `n_hidden`, `n_layers` and `dropout_rate` of the classifier, which
#'   are the model's otherwise. `n_layers = 0`: no hidden layer, a linear classifier.
#' @param from `NULL`, or a trained [VAE()] of the same genes and batches, whose networks and options the new model
#'   starts from; `n_input` is then a data set with labels, or a number.
#' @return An object of class `SCANVI` or `VAEC` (see [SCVIModel-class]) with random initial weights, on the CPU.
#' @section Errors: `rscvi_invalid_argument`, naming the argument, for values that are out of range or unknown.
#' @section Differences from scvi 0.6.8: groups are numbered from 1. VAEC with `dispersion = "gene-label"` uses the
#'   dispersion of the label in training as well; there all cells get the product of those of the first two labels.
#'   [get_latent()] of a VAEC works.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type"),
#'   new_n_genes = 100, mode = "variance")
#' SCANVI(dataset, n_latent = 5, seed = 1)
#' VAEC(dataset, n_latent = 5, dispersion = "gene-label", seed = 1)
#' @export
SCANVI <- function(n_input, n_batch = 0, n_labels = 0, n_hidden = 128, n_latent = 10, n_layers = 1, dropout_rate = 0.1,
                   dispersion = "gene", log_variational = TRUE, reconstruction_loss = "zinb", y_prior = NULL,
                   labels_groups = NULL, use_labels_groups = FALSE, classifier_parameters = list(), from = NULL,
                   library = "latent", encode_covariates = FALSE, dispersion_start = "normal",
                   library_start = "random", scale_start = "random", normalisation = "batch", seed = NULL) {
    if (!is.null(from)) {
        given <- as.list(match.call())[-1L]
        return(scanvi_from(from, n_input, names(given), parent.frame(), given))
    }
    size <- model_size(n_input, if (!missing(n_batch)) n_batch, if (!missing(n_labels)) n_labels)
    options <- network_options(size, n_hidden, n_latent, n_layers, dropout_rate, dispersion, log_variational,
        reconstruction_loss, library = library, encode_covariates = encode_covariates,
        dispersion_start = dispersion_start, library_start = library_start, normalisation = normalisation,
        scale_start = scale_start)
    if (options$dispersion == "gene-label") {
        abort_rscvi(c("{.arg dispersion} must not be {.val gene-label} for {.fn SCANVI}: its decoder does not see
            labels.",
            i = "{.fn VAEC} has dispersions by label."))
    }
    check_flag(use_labels_groups, "use_labels_groups")
    groups <- check_labels_groups(labels_groups, options$n_labels, required = use_labels_groups)
    options <- c(options, label_options(options, y_prior, classifier_parameters),
        list(labels_groups = if (use_labels_groups) groups))
    new_model("SCANVI", options, size$names, resolve_seed(seed), size$dataset)
}

# The networks that a SCANVI shares with the VAE are those of the VAE; options that it has, too.
scanvi_from <- function(from, n_input, given, frame, call) {
    check_class(from, "from", "VAE")
    if (!methods::is(n_input, "GeneExpressionDataset") && !is.null(from@options$covariates)) {
        abort_rscvi("{.arg n_input} must be a {.cls GeneExpressionDataset}, not {describe_value(n_input)}: {.arg from}
            has covariates.")
    }
    shared <- c("n_hidden", "n_latent", "n_layers", "dropout_rate", "dispersion", "log_variational",
        "reconstruction_loss", "library", "encode_covariates", "normalisation")
    # Of no consequence: the weights are those of the VAE.
    starts <- c("dispersion_start", "library_start", "scale_start")
    fixed <- intersect(given, c("n_batch", shared, starts))
    if (length(fixed)) {
        abort_rscvi("{.arg {fixed}} {?is/are} that of {.arg from}, and cannot be given beside it.")
    }
    if (from@options$latent_distribution != "normal") {
        abort_rscvi("{.arg from} has a logistic normal latent distribution, which {.fn SCANVI} does not have.")
    }
    if (methods::is(n_input, "GeneExpressionDataset")) {
        n_input <- align_to_model(n_input, from)
        check_model_fits(from, n_input)
    }
    arguments <- lapply(call[setdiff(given, c("from", "n_input"))], eval, frame)
    # Covariates as the VAE knows them, whatever those of this data set are.
    if (methods::is(n_input, "GeneExpressionDataset") && is.null(from@options$covariates)) {
        n_input@covariates <- n_input@covariates[0L]
    }
    model <- do.call(SCANVI, c(list(n_input, n_batch = from@options$n_batch), from@options[shared], arguments))
    model@options[c("covariates", starts)] <- from@options[c("covariates", starts)]
    model@state$handle <- NULL
    state <- state_dict(model)
    weights <- state_dict(from)
    state[names(weights)] <- weights
    load_state_dict(model, state)
}

#' @rdname SCANVI
#' @export
VAEC <- function(n_input, n_batch = 0, n_labels = 0, n_hidden = 128, n_latent = 10, n_layers = 1, dropout_rate = 0.1,
                 y_prior = NULL, dispersion = "gene", log_variational = TRUE, reconstruction_loss = "zinb",
                 library = "latent", encode_covariates = FALSE, dispersion_start = "normal", library_start = "random",
                 scale_start = "random", normalisation = "batch", seed = NULL) {
    size <- model_size(n_input, if (!missing(n_batch)) n_batch, if (!missing(n_labels)) n_labels)
    options <- network_options(size, n_hidden, n_latent, n_layers, dropout_rate, dispersion, log_variational,
        reconstruction_loss, library = library, encode_covariates = encode_covariates,
        dispersion_start = dispersion_start, library_start = library_start, normalisation = normalisation,
        scale_start = scale_start)
    options <- c(options, label_options(options, y_prior, list()), list(encode_labels_twice = FALSE))
    new_model("VAEC", options, size$names, resolve_seed(seed), size$dataset)
}

#' What a model with labels says of cells of your own
#'
#' @param model a [SCANVI()] or [VAEC()]; for `classify()` also a [Classifier()].
#' @param x counts, **cells x genes** (B x G); of a [Classifier()] what it was built for, cells x `n_input`.
#' @param y labels of the cells: a factor or 1-based codes; `NULL` takes the most probable ones.
#' @param batch_index,covariates as for [inference()]; looked at if the model was built with `encode_covariates = TRUE`.
#' @param noise `NULL`, or `list(z =)`, B x L standard normal draws to use in place of random ones.
#' @param seed integer that decides the draw of z1; `NULL` draws one from R's generator.
#' @return `classify()`: probabilities \eqn{q(y|x)}, cells x labels; of a [Classifier()] with `logits = TRUE` what
#'   they are the softmax of. `get_latents()`: for a [SCANVI()] a list of `z1`, a draw
#'   from \eqn{q(z_1|x)}, and `z2`, the mean of \eqn{q(z_2|z_1,y)}; B x L each.
#' @section Errors: `rscvi_invalid_argument`, naming the argument.
#' @seealso [compute_predictions()] for the cells of a posterior.
#' @examples
#' scanvi <- SCANVI(n_input = 20, n_labels = 3, n_hidden = 8, n_latent = 2, seed = 1)
#' x <- matrix(rpois(5 * 20, 2), nrow = 5)
#' classify(scanvi, x)
#' get_latents(scanvi, x, y = c(1, 1, 2, 3, 3))$z2
#' @export
classify <- function(model, x, batch_index = NULL, covariates = NULL) {
    if (is_classifier(model)) return(classify_features(model, x))
    check_class(model, "model", "LabelledModel")
    cells <- check_encoded_cells(x, batch_index, covariates, model)
    q <- core(model_classify_cpp(model_handle(model), cells))
    dimnames(q) <- list(rownames(cells$x), model@label_levels)
    q
}

#' @rdname classify
#' @export
get_latents <- function(model, x, y = NULL, batch_index = NULL, covariates = NULL, noise = NULL, seed = NULL) {
    check_class(model, "model", "SCANVI")
    o <- model@options
    cells <- check_encoded_cells(x, batch_index, covariates, model)
    n <- nrow(cells$x)
    cells$y <- check_codes(y, "y", n, o$n_labels, model@label_levels, used = TRUE)
    if (is.null(y)) cells$y <- max.col(core(model_classify_cpp(model_handle(model), cells)), ties.method = "first")
    noise <- check_noise(noise, n, o$n_latent)
    core(model_latents_cpp(model_handle(model), cells, noise, resolve_seed(seed)))
}

# What an encoder sees: batch and covariates only where the model was built so.
check_encoded_cells <- function(x, batch_index, covariates, model) {
    x <- check_cells_by_genes(x, model)
    if (!model@options$encode_covariates) return(list(x = x))
    check_cells(list(x = x, batch_index = batch_index, covariates = covariates), model, with_label = FALSE)
}

label_options <- function(options, y_prior, classifier_parameters) {
    k <- options$n_labels
    if (k < 2L) abort_rscvi("{.arg n_labels} must be at least 2, not {k}: there is nothing to tell apart.")
    if (!is.null(y_prior)) {
        good <- is.numeric(y_prior) && length(y_prior) == k && !anyNA(y_prior) && all(y_prior > 0) &&
            abs(sum(y_prior) - 1) < 1e-6
        if (!good) {
            abort_rscvi("{.arg y_prior} must be {k} positive numbers that sum to 1, one a label,
                not {describe_value(y_prior)}.")
        }
        y_prior <- as.numeric(y_prior)
    }
    list(y_prior = y_prior, classifier_parameters = check_classifier_parameters(classifier_parameters, options))
}

check_classifier_parameters <- function(x, defaults) {
    known <- c("n_hidden", "n_layers", "dropout_rate")
    if (!is.list(x) || length(setdiff(names(x), known)) || (length(x) && is.null(names(x)))) {
        abort_rscvi("{.arg classifier_parameters} must be a list that may hold {.field {known}},
            not {describe_value(x)}.")
    }
    settings <- defaults[known]
    settings[names(x)] <- x
    list(
        n_hidden = check_count(settings$n_hidden, "classifier_parameters$n_hidden", lower = 1L),
        n_layers = check_count(settings$n_layers, "classifier_parameters$n_layers", lower = 0L),
        dropout_rate = check_number(settings$dropout_rate, "classifier_parameters$dropout_rate", lower = 0, upper = 1,
            upper_open = TRUE)
    )
}

check_labels_groups <- function(x, n_labels, required) {
    if (is.null(x)) {
        if (required) abort_rscvi("{.arg use_labels_groups} is {.code TRUE}, but {.arg labels_groups} is not given.")
        return(NULL)
    }
    codes <- if (is.factor(x)) as.integer(x) else x
    good <- is.numeric(codes) && length(codes) == n_labels && !anyNA(codes) &&
        setequal(codes, seq_len(max(codes))) && all(codes == round(codes))
    if (!good) {
        abort_rscvi("{.arg labels_groups} must give each of the {n_labels} labels a group, numbered from 1 without gaps,
            not {describe_value(x)}.")
    }
    as.integer(codes)
}
