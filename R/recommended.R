# Two sets of defaults of runSCVI() and runSCANVI().

#' Two sets of defaults
#'
#' Constructors and trainers ([VAE()], [UnsupervisedTrainer()], [SCANVI()], [SemiSupervisedTrainer()]) keep the defaults
#' of scvi 0.6.8, whose results they reproduce. [runSCVI()] uses another set, unless it is told `defaults =
#' "scvi-0.6.8"`; [runSCANVI()] does with `defaults = "recommended"`, but labels are told less well then:
#'
#' | what | argument | `"recommended"` | `"scvi-0.6.8"` |
#' |:-----|:---------|:----------------|:---------------|
#' | library size | `library` of [VAE()] | `"observed"` | `"latent"` |
#' | log dispersions start at | `dispersion_start` of [VAE()] | `"moments"` (1) | `"normal"` |
#' | their learning rate | `lr_dispersion` of the trainers | 0.01 (1) | `NULL`: as all others |
#' | weight of the KL term of z | `max_kl_weight` of the trainers | 6, but no more than a 32nd of the mean number of counts of a cell, and no less than 1 | 1 |
#' | it rises from 0 over | `n_iter_kl_warmup` or `n_epochs_kl_warmup` of [UnsupervisedTrainer()] | all of training | 400 epochs (2) |
#' | training | `n_epochs` of [runSCVI()], [runSCANVI()] | 100 epochs or 3,000 steps (3) | 400 epochs (3) |
#'
#' 1. Not with `dispersion = "gene-cell"`, where dispersions are an output of the decoder.
#' 2. [runSCANVI()]: not at all, as its SCANVI starts from a trained VAE.
#' 3. `"recommended"`: what makes 3,000 steps of training, but at least 20 epochs and at most 100. `"scvi-0.6.8"`:
#'   `round(400 * 20000 / n)` for n cells, at most 400. The second is the limit of the first, too: a million cells are
#'   trained on for 8 epochs with either.
#'
#' What is given to [runSCVI()] or [runSCANVI()] wins over both sets.
#'
#' @section Why:
#' In scvi 0.6.8 the library size is a latent variable, whose encoder is off by a factor of two for many a cell, and log
#' dispersions stay where they start, at random: held-out cells are then less likely than under a model that knows one
#' share and one dispersion a gene. With library sizes as observed and dispersions that learn they are more likely. A
#' latent space that is held closer to its prior then keeps cell types apart, and rising slowly that hold does not
#' empty dimensions before they have learned something.
#' @section Evidence: `bench/QUALITY.md` in the source: five data sets, three splits each, option by option. Against
#'   scvi 0.6.8, \eqn{-\ln p} of held-out cells is 4 to 14 % lower, and below that of a null model ([null_model()]) in
#'   each of the 15 splits. Of the latent spaces' scores 14 of 18 are at most one standard deviation below
#'   scvi's mean, or above it; purity among neighbours on two data sets is not (.851 and .811, limits .854 and .822). Differential expression is more careful: in one
#'   contrast that was looked at 56 to 88 genes have a `proba_de` above .95, where 0.6.8's settings have 143 and 174.
#' @seealso [diagnose()], which says of a fit whether it is to be believed.
#' @name recommended_defaults
NULL

default_sets <- c("recommended", "scvi-0.6.8")

# `given`: arguments of VAE() and of the trainers, by `homes` as sort_arguments() gives them. The same, with those of
# the set `defaults` where nothing was given.
with_defaults <- function(given, defaults, dataset, n_epochs) {
    if (defaults != "recommended") return(given)
    of_trainers <- list(max_kl_weight = recommended_kl_weight(dataset), lr_dispersion = 1e-2)
    recommended <- list(
        model = list(library = "observed", dispersion_start = "moments"),
        trainer = c(of_trainers, list(n_epochs_kl_warmup = NULL,
            n_iter_kl_warmup = n_epochs * steps_per_epoch(nb_cells(dataset), given$trainer))),
        labelled = of_trainers
    )
    # Either way of counting is a choice.
    if (any(c("n_epochs_kl_warmup", "n_iter_kl_warmup") %in% names(given$trainer))) {
        recommended$trainer[c("n_epochs_kl_warmup", "n_iter_kl_warmup")] <- list(NULL)
    }
    if (identical(given$model$dispersion, "gene-cell")) {
        recommended$model$dispersion_start <- NULL
        recommended$trainer$lr_dispersion <- recommended$labelled$lr_dispersion <- NULL
    }
    # Who asks for a start of the library's encoder wants one.
    if (!is.null(given$model$library_start)) recommended$model$library <- NULL
    for (home in names(given)) {
        if (home %in% names(recommended)) {
            given[[home]] <- utils::modifyList(recommended[[home]], given[[home]], keep.null = TRUE)
        }
    }
    given
}

# Cells of few counts have little to set against their divergence from the prior: a large weight empties dimensions.
recommended_kl_weight <- function(dataset) max(1, min(6, mean(cell_totals(dataset)) / 32))

# Minibatches of an epoch. What is not as it should be counts as the default: the trainer says so afterwards.
steps_per_epoch <- function(n_cells, arguments) {
    number <- function(x, otherwise) if (is.numeric(x) && length(x) == 1L && is.finite(x) && x > 0) x else otherwise
    n_train <- floor(n_cells * min(1, number(arguments$train_size, formals(UnsupervisedTrainer)$train_size)))
    if (!is.null(arguments$train_indices)) n_train <- length(arguments$train_indices)
    batch_size <- number(arguments$data_loader_kwargs$batch_size,
        number(arguments$batch_size, formals(UnsupervisedTrainer)$batch_size))
    max(1, ceiling(n_train / batch_size))
}

# Counted in steps: a pass over few cells teaches little, and many passes over them teach their noise.
default_n_epochs <- function(defaults, n_cells, arguments) {
    of_scvi <- resolve_n_epochs(NULL, n_cells)
    if (defaults != "recommended") return(of_scvi)
    min(of_scvi, max(20, min(100, round(3000 / steps_per_epoch(n_cells, arguments)))))
}
