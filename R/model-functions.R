# What a method developer asks of a model with cells of their own: no data set, no posterior, noise under control.

# Cells x genes of numbers that can be counts; fractions are allowed here.
check_cells_by_genes <- function(x, model, arg = "x") {
    if (methods::is(x, "Matrix") || is.data.frame(x)) x <- as.matrix(x)
    if (!is.numeric(x) || !is.matrix(x)) {
        abort_rscvi("{.arg {arg}} must be a numeric matrix of cells x genes, not {describe_value(x)}.")
    }
    n_genes <- model@options$n_input
    if (ncol(x) != n_genes || nrow(x) == 0L) {
        abort_rscvi(c(
            "{.arg {arg}} must be cells x genes with {n_genes} genes, not {nrow(x)} x {ncol(x)}.",
            if (nrow(x) == n_genes) c(i = "It looks like genes x cells: use {.code t({arg})}.")
        ))
    }
    if (!all(is.finite(x)) || any(x < 0)) {
        abort_rscvi("{.arg {arg}} has values that are missing, infinite or negative.")
    }
    storage.mode(x) <- "double"
    x
}

# Codes of batches or labels: a factor (matched to the model's levels by name if it knows them), or 1-based codes. A
# model that does not use them takes any number of levels.
check_codes <- function(x, arg, n_cells, n_levels, level_names, used) {
    if (is.null(x)) return(NULL)
    if (is.character(x) && is.null(level_names)) {
        abort_rscvi("{.arg {arg}} has names, but this model was built from numbers and knows none: give a factor or
            1-based codes.")
    }
    if (is.factor(x) || is.character(x)) {
        names <- if (is.null(level_names)) levels(as.factor(x)) else level_names
        code <- match(as.character(x), names)
        if (anyNA(code)) {
            unknown <- setdiff(as.character(x), names)
            abort_rscvi("{.arg {arg}} has {cli::qty(unknown)}level{?s} that the model does not know: {.val {unknown}}.")
        }
        x <- code
    }
    x <- check_indices(if (is.matrix(x)) as.vector(x) else x, arg, if (used) n_levels else Inf)
    if (length(x) != n_cells) {
        abort_rscvi("{.arg {arg}} must have one element a cell ({n_cells}), not {length(x)}.")
    }
    x
}

# One batch, by level name or 1-based code.
check_transform_batch <- function(x, model, batch_levels = model@batch_levels, arg = "transform_batch", many = FALSE) {
    if (is.null(x)) return(NULL)
    n <- model@options$n_batch
    if (n < 2L) {
        abort_rscvi("{.arg {arg}} is given, but this model does not use batches.")
    }
    if (!many && length(x) != 1L) {
        abort_rscvi("{.arg {arg}} must be one batch, by name or 1-based code, not {describe_value(x)}.")
    }
    if (is.factor(x)) x <- as.character(x)
    if (is.character(x)) {
        code <- match(x, batch_levels)
        if (anyNA(code)) {
            abort_rscvi("{.arg {arg}} names no batch: {.val {x[is.na(code)]}}. There {?is/are}
                {.val {if (is.null(batch_levels)) 'none with a name' else batch_levels}}.")
        }
        return(code)
    }
    codes <- check_indices(x, arg, n)
    if (length(codes) == 0L) abort_rscvi("{.arg {arg}} names no batch.")
    codes
}

# noise = list(z =, library =) for `n_cells` cells: z is n x L, or S x n x L where many draws are taken (n_samples
# not NULL); library n x 1 (or a vector of n), or S x n x 1 (or an S x n matrix). Where there are `z2_rows`, also
# z2 (z2_rows x L).
check_noise <- function(noise, n_cells, n_latent, n_samples = NULL, arg = "noise", z2_rows = NULL) {
    if (is.null(noise)) return(list())
    known <- c("z", "library", if (!is.null(z2_rows)) "z2")
    if (!is.list(noise) || length(setdiff(names(noise), known)) || is.null(names(noise))) {
        abort_rscvi("{.arg {arg}} must be a list that may hold {.field {known}}, not {describe_value(noise)}.")
    }
    cells <- c(n_samples, n_cells)
    checked <- list(
        z = shape_noise(noise$z, c(cells, n_latent), paste0(arg, "$z")),
        library = shape_noise(noise$library, c(cells, 1L), paste0(arg, "$library"))
    )
    if (!is.null(z2_rows)) checked$z2 <- shape_noise(noise$z2, c(z2_rows, n_latent), paste0(arg, "$z2"))
    checked
}

# Noise of a loss. Where labels are not looked at, VAEC has a row of z for each label and cell, label by label, and
# SCANVI one of z2.
check_loss_noise <- function(noise, n_cells, model, labelled) {
    rows <- if (labelled) n_cells else n_cells * model@options$n_labels
    check_noise(noise, if (methods::is(model, "VAEC")) rows else n_cells, model@options$n_latent,
        z2_rows = if (methods::is(model, "SCANVI")) rows)
}

shape_noise <- function(x, shape, arg) {
    if (is.null(x)) return(NULL)
    given <- if (is.null(dim(x))) length(x) else dim(x)
    # A trailing dimension of one may be left out.
    fits <- identical(as.numeric(given), as.numeric(shape)) ||
        (shape[length(shape)] == 1 && identical(as.numeric(given), as.numeric(shape[-length(shape)])))
    if (!is.numeric(x) || anyNA(x) || !fits) {
        abort_rscvi("{.arg {arg}} must hold {paste(shape, collapse = ' x ')} numbers, not
            {paste(given, collapse = ' x ')}.")
    }
    array(as.numeric(x), dim = shape)
}

#' Ask a model about cells of your own
#'
#' For method developers: the model's inference and its loss on a matrix of counts, in evaluation mode, with the random
#' draws under control.
#'
#' @param model a model, see [VAE()].
#' @param x counts, **cells x genes** (B x G).
#' @param batch_index,y batch and label of each cell: factors, or 1-based codes. `batch_index` may be `NULL` for a model
#'   without batches, `y` for any but `dispersion = "gene-label"`.
#' @param n_samples number S of draws of z and of the library size a cell.
#' @param transform_batch decode every cell as this batch (level name or 1-based code); the encoders see the
#'   observed one, if any.
#' @param noise `NULL`, or `list(z =, library =)` (and `z2` for the loss of a [SCANVI()]) of standard normal draws to
#'   use in place of random ones: B x L and B x 1, or S x B x L and S x B x 1 if `n_samples > 1`. Either may be left
#'   out.
#' @param local_l_mean,local_l_var mean and variance of the prior of the log library size: one number a cell, or one for
#'   all.
#' @param seed integer that decides the random draws; `NULL` draws one from R's generator.
#' @param covariates for a model that was built with covariates: a data.frame of them, one row a cell.
#'
#' @return `inference()`: a named list of `px_scale` (expected share of each gene, rows sum to 1), `px_rate` (mean of
#'   the counts, \eqn{e^l} times `px_scale`), `px_r` (inverse dispersion), `px_dropout` (logit of the dropout
#'   probability), `z`, `qz_m`, `qz_v`, `library` (log library size), `ql_m`, `ql_v`. Of B x G, B x L or B x 1; those
#'   that depend on a draw S x B x . if `n_samples > 1`; `px_r` is a vector over genes for `dispersion = "gene"`.
#'
#'   `loss_terms()`: a data.frame with one row a cell. `kl_z1` \eqn{\ln q(z_1|x) - \ln p(z_1|z_2,y)} for a [SCANVI()],
#'   whose `kl_z` is that of \eqn{z_2}. Without `y`, for [SCANVI()] and [VAEC()], the average over \eqn{q(y|x)}, and
#'   `kl_y`, the divergence of that from the prior of labels. All models: `reconst_loss` \eqn{-\ln p(x|z,l)}, `kl_z` and
#'   `kl_l`, the divergences of \eqn{q(z|x)} and \eqn{q(l|x)} from their priors, in nats. Their sum is the negative
#'   ELBO.
#' @section Errors: `rscvi_invalid_argument`, naming the argument, for wrong shapes, unknown batches or labels, counts
#'   that are negative or missing.
#' @examples
#' vae <- VAE(n_input = 20, n_batch = 2, n_hidden = 8, n_latent = 2, seed = 1)
#' x <- matrix(rpois(5 * 20, 2), nrow = 5)
#' out <- inference(vae, x, batch_index = c(1, 1, 2, 2, 2), transform_batch = 1)
#' rowSums(out$px_scale)
#' loss_terms(vae, x, local_l_mean = 3.7, local_l_var = 0.1, batch_index = c(1, 1, 2, 2, 2))
#' @name inference
NULL

#' @rdname inference
#' @export
inference <- function(model, x, batch_index = NULL, y = NULL, n_samples = 1, transform_batch = NULL, noise = NULL,
                      seed = NULL, covariates = NULL) {
    check_model_of_counts(model)
    n_samples <- check_count(n_samples, "n_samples", lower = 1L)
    transform_batch <- check_transform_batch(transform_batch, model)
    if (is.null(batch_index) && !is.null(transform_batch)) batch_index <- rep(transform_batch, NROW(x))
    cells <- check_cells(list(x = x, batch_index = batch_index, y = y, covariates = covariates), model)
    noise <- check_noise(noise, nrow(cells$x), model@options$n_latent, if (n_samples > 1L) n_samples)
    core(model_inference_cpp(model_handle(model), cells, n_samples, transform_batch, noise, resolve_seed(seed)))
}

#' @rdname inference
#' @export
loss_terms <- function(model, x, local_l_mean, local_l_var, batch_index = NULL, y = NULL, noise = NULL, seed = NULL,
                       covariates = NULL) {
    check_model_of_counts(model)
    cells <- check_cells(list(x = x, local_l_mean = local_l_mean, local_l_var = local_l_var,
        batch_index = batch_index, y = y, covariates = covariates), model, for_loss = TRUE)
    unlabelled <- has_classifier(model) && is.null(cells$y)
    noise <- check_loss_noise(noise, nrow(cells$x), model, labelled = !unlabelled)
    ask <- if (unlabelled) model_unlabelled_loss_terms_cpp else model_loss_terms_cpp
    data.frame(core(ask(model_handle(model), cells, noise, resolve_seed(seed))), row.names = rownames(x))
}

# x, batch_index, y, covariates and, for a loss, the library prior, in the form that the glue takes.
check_cells <- function(cells, model, for_loss = FALSE, with_label = TRUE) {
    o <- model@options
    cells$x <- check_cells_by_genes(cells$x, model)
    n <- nrow(cells$x)
    batch_is_used <- o$n_batch > 1L || o$dispersion == "gene-batch"
    label_is_used <- with_label && uses_labels(model)
    label_is_needed <- label_is_used && !for_loss && !methods::is(model, "SCANVI") ||
        for_loss && o$dispersion == "gene-label" && !has_classifier(model)
    # Where there is only one, it need not be said.
    if (is.null(cells$batch_index) && batch_is_used && o$n_batch == 1L) cells$batch_index <- rep(1L, n)
    if (is.null(cells$y) && label_is_used && o$n_labels == 1L) cells$y <- rep(1L, n)
    cells$batch_index <- check_codes(cells$batch_index, "batch_index", n, o$n_batch, model@batch_levels, batch_is_used)
    cells$y <- check_codes(cells$y, "y", n, o$n_labels, model@label_levels, label_is_used)
    if (is.null(cells$batch_index) && batch_is_used) {
        abort_rscvi("{.arg batch_index} is needed: this model was built for {o$n_batch} batches.")
    }
    if (is.null(cells$y) && label_is_needed) {
        abort_rscvi(if (has_classifier(model)) "{.arg y} is needed: this model encodes and decodes with the label."
        else "{.arg y} is needed: this model has one dispersion per gene and label.")
    }
    given <- check_cell_covariates(cells$covariates, model, n)
    cells$covariates <- NULL
    cells[names(given)] <- given
    if (for_loss) {
        cells$local_l_mean <- check_prior(cells$local_l_mean, "local_l_mean", n)
        cells$local_l_var <- check_prior(cells$local_l_var, "local_l_var", n, positive = TRUE)
    }
    cells
}

check_prior <- function(x, arg, n, positive = FALSE) {
    if (!is.numeric(x) || !length(x) %in% c(1L, n) || !all(is.finite(x)) || (positive && any(x <= 0))) {
        abort_rscvi("{.arg {arg}} must be one {if (positive) 'positive '}number a cell ({n}), or one for all,
            not {describe_value(x)}.")
    }
    rep_len(as.numeric(x), n)
}

#' Fit a model to minibatches of your own
#'
#' For custom training loops and exact tests: one step of Adam per minibatch, in the order given, with dropout and batch
#' normalisation in training mode. The optimiser is new on each call. The loss is the mean over the cells of
#' \eqn{reconst\_loss + kl\_l + w\, kl\_z} with w the `kl_weight`.
#'
#' @param model a model, see [VAE()]; **it is changed in place**.
#' @param minibatches list of minibatches, each a list of `x` (cells x genes), `local_l_mean`, `local_l_var`,
#'   `batch_index`, `y`, `covariates` and, if wanted, `noise`; see [loss_terms()] for what they are.
#' @param kl_weight weight of `kl_z`; for [SCANVI()] and [VAEC()] of all terms but `reconst_loss` and `kl_z1`.
#' @param classification_ratio,double_softmax [SCANVI()] and [VAEC()] take the loss without a look at the labels, to
#'   which that of the classifier, the mean of \eqn{-\ln q(y|x)}, is added so many times where there is a `y`;
#'   `double_softmax = TRUE` takes the softmax of the probabilities first, as scvi 0.6.8 does.
#' @param lr,eps,weight_decay of Adam; the L2 penalty `weight_decay` is added to the gradient.
#' @param seed integer that decides dropout and the draws that are not given.
#' @return Numeric vector: the loss of each minibatch before its step, in nats per cell.
#' @section Errors: `rscvi_invalid_argument`, naming the argument and the minibatch; `rscvi_diverged` if the weights are
#'   no longer finite, the model then being as it was.
#' @examples
#' vae <- VAE(n_input = 20, n_hidden = 8, n_latent = 2, seed = 1)
#' minibatch <- list(x = matrix(rpois(10 * 20, 2), nrow = 10), local_l_mean = 3.7, local_l_var = 0.1)
#' fit_minibatches(vae, list(minibatch, minibatch, minibatch))
#' @export
fit_minibatches <- function(model, minibatches, kl_weight = 1, lr = 1e-3, eps = 0.01, weight_decay = 1e-6,
                            classification_ratio = 50, double_softmax = FALSE, seed = NULL) {
    check_model_of_counts(model)
    if (!is.list(minibatches) || length(minibatches) == 0L || !all(vapply(minibatches, is.list, NA))) {
        abort_rscvi("{.arg minibatches} must be a list of at least one minibatch, each a list with {.field x},
            not {describe_value(minibatches)}.")
    }
    noise <- vector("list", length(minibatches))
    for (k in seq_along(minibatches)) {
        given <- minibatches[[k]]
        unknown <- setdiff(names(given),
            c("x", "local_l_mean", "local_l_var", "batch_index", "y", "covariates", "noise"))
        if (length(unknown)) {
            abort_rscvi("Minibatch {k} of {.arg minibatches} has unknown element{?s} {.field {unknown}}.")
        }
        checked <- tryCatch(
            list(cells = check_cells(given[setdiff(names(given), "noise")], model, for_loss = TRUE),
                noise = check_loss_noise(given$noise, nrow(given$x), model, labelled = !has_classifier(model))),
            rscvi_error = function(e) abort_rscvi("Minibatch {k} of {.arg minibatches} cannot be used.", parent = e)
        )
        if (nrow(checked$cells$x) < 2L) {
            abort_rscvi("Minibatch {k} of {.arg minibatches} has one cell; batch normalisation needs at least two.")
        }
        minibatches[[k]] <- checked$cells
        noise[[k]] <- checked$noise
    }
    change_model(model, model_fit_minibatches_cpp(
        model_handle(model), minibatches, noise,
        check_number(kl_weight, "kl_weight", lower = 0),
        list(ratio = check_number(classification_ratio, "classification_ratio", lower = 0),
            double_softmax = check_flag(double_softmax, "double_softmax")),
        check_number(lr, "lr", lower = 0, lower_open = TRUE, upper_open = TRUE),
        check_number(eps, "eps", lower = 0, lower_open = TRUE, upper_open = TRUE),
        check_number(weight_decay, "weight_decay", lower = 0), resolve_seed(seed)
    ))
}

#' Log-probability of counts
#'
#' The likelihoods of the models, in double precision, accurate for any dispersion (for an inverse dispersion of 1e6 the
#' single-precision formula of scvi 0.6.8 is off by more than a nat). With \eqn{\epsilon = 10^{-8}}:
#' \deqn{\ln NB = \theta \ln\frac{\theta+\epsilon}{\theta+\mu+\epsilon} + x \ln\frac{\mu+\epsilon}{\theta+\mu+\epsilon}
#' +
#'   \ln\frac{\Gamma(x+\theta)}{\Gamma(\theta)\, x!}}
#' and the zero-inflated one adds a point mass at 0 of probability \eqn{1 / (1 + e^{-\pi})}.
#' @param x counts.
#' @param mu means, at least 0.
#' @param theta inverse dispersions, above 0: the variance is \eqn{\mu + \mu^2/\theta}.
#' @param pi logits of the dropout probability.
#' @return Numeric vector as long as the longest argument; shorter ones are recycled.
#' @examples
#' log_nb(0:3, mu = 2, theta = 1.5)
#' dnbinom(0:3, mu = 2, size = 1.5, log = TRUE)
#' log_zinb(0:3, mu = 2, theta = 1.5, pi = -1)
#' @export
log_nb <- function(x, mu, theta) log_probability("nb", x = x, mu = mu, theta = theta)

#' @rdname log_nb
#' @export
log_zinb <- function(x, mu, theta, pi) log_probability("zinb", x = x, mu = mu, theta = theta, pi = pi)

log_probability <- function(distribution, ...) {
    values <- list(...)
    n <- if (any(lengths(values) == 0L)) 0L else max(lengths(values))
    for (name in names(values)) {
        value <- values[[name]]
        lower <- c(x = 0, mu = 0, theta = 0, pi = -Inf)[[name]]
        if (!is.numeric(value) || anyNA(value) || any(value < lower) || (name == "theta" && any(value == 0))) {
            legal <- c(x = "numbers of at least 0", mu = "numbers of at least 0", theta = "positive numbers",
                pi = "numbers")[[name]]
            abort_rscvi("{.arg {name}} must be {legal}, without missing values, not {describe_value(value)}.")
        }
        values[[name]] <- rep_len(as.numeric(value), n)
    }
    if (n == 0L) return(numeric(0))
    core(log_probability_cpp(distribution, values$x, values$mu, values$theta,
        if (is.null(values$pi)) numeric(0) else values$pi))
}
