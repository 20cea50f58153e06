# Two sets of defaults of runSCVI() and runSCANVI().

#' Two sets of defaults
#'
#' Constructors and trainers ([VAE()], [UnsupervisedTrainer()], [SCANVI()], [SemiSupervisedTrainer()]) keep the defaults
#' of scvi 0.6.8, whose results they reproduce. [runSCVI()] uses another set, unless it is told `defaults =
#' "scvi-0.6.8"`; [runSCANVI()] uses it with `defaults = "recommended"`, but labels are told no better then:
#'
#' | what | argument | `"recommended"` | `"scvi-0.6.8"` |
#' |:-----|:---------|:----------------|:---------------|
#' | likelihood of counts | `reconstruction_loss` of [VAE()] | `"nb"` | `"zinb"` |
#' | library size | `library` of [VAE()] | `"observed"` (5) | `"latent"` |
#' | shares of the genes start at | `scale_start` of [VAE()] | `"shares"` | `"random"` |
#' | log dispersions start at | `dispersion_start` of [VAE()] | `"one"` (1) | `"normal"` |
#' | they stay there for | `n_iter_fixed_dispersion` of the trainers | 4/5 of training (1, 6) | 0 |
#' | their learning rate | `lr_dispersion` of the trainers | 0.02 (1) | `NULL`: as all others |
#' | weight of the KL term of z | `max_kl_weight` of the trainers | 1 to 5 (2) | 1 |
#' | it rises from 0 over | its `n_iter_kl_warmup` or `n_epochs_kl_warmup` | all of training | 400 epochs (3) |
#' | training | `n_epochs` of [runSCVI()], [runSCANVI()] | 100 epochs or 2,000 steps (4) | 400 epochs (4) |
#'
#' 1. Not with `dispersion = "gene-cell"`, where dispersions are an output of the decoder.
#' 2. A 25th of the median number of counts of a cell: cells of few counts have little to set against it, and latent
#'   dimensions would go unused. [runSCANVI()]: of its VAE; the SCANVI keeps 1. What is given goes to both.
#' 3. [runSCANVI()]: not at all, as its SCANVI starts from a trained VAE.
#' 4. `"recommended"`: what makes 2,000 steps of training, but at least 50 epochs and at most 100. `"scvi-0.6.8"`:
#'   `round(400 * 20000 / n)` for n cells, at most 400. The second is the limit of the first, too: a million cells are
#'   trained on for 8 epochs with either.
#' 5. `"latent"` where a `library_start` is given.
#' 6. Never its last 200 steps. 0 where `early_stopping_kwargs` or `lr_schedule = "cosine"` are given: training may end
#'   before, or hardly move afterwards. [runSCANVI()]: of its VAE.
#'
#' What is given to [runSCVI()] or [runSCANVI()] wins over both sets.
#'
#' @section Why:
#' In scvi 0.6.8 the library size is a latent variable, whose encoder is off by a factor of two for many a cell, and log
#' dispersions stay where they start, at random: held-out cells are then less likely than under a model that knows one
#' share and one dispersion a gene. With library sizes as observed and dispersions that learn they are more likely.
#' Zero inflation has little to explain in UMI counts (Svensson 2020), and differences between cells that it explains
#' are none to [differential_expression_score()], which looks at shares.
#'
#' Dispersions learn last, when the latent space has taken shape. Until then the variance of a count is
#' \eqn{\mu + \mu^2}: how much one gene can say of a cell has a limit, and the many counts of ribosomal and
#' mitochondrial genes do not decide which cells are neighbours. Estimates from the counts at the start would take for
#' noise what sets cell types apart, and dispersions that learn all the while give genes of high means more weight;
#' either costs purity of cell types among neighbours, on two data sets or three of the four that were looked at.
#'
#' A latent space that is held closer to its prior keeps cell types apart; rising slowly, that hold leaves dimensions in
#' use that it would else empty at the start.
#' @section Evidence: `bench/QUALITY.md` in the source: five data sets, three splits each, option by option. Against
#'   scvi 0.6.8, \eqn{-\ln p} of held-out cells is 4 to 14 % lower, and below that of a null model ([null_model()]) in
#'   each of the 15 splits. All of the latent spaces' 18 scores are at most one standard deviation below scvi's mean, or
#'   above it (0.6.8's settings, fitted anew: 15 of 18), three of them by next to nothing, and on the splits that the
#'   set was chosen on. In a contrast that was looked at (CD14+ monocytes of [example_pbmc()], `ctrl` against `stim`),
#'   the genes that two seeds call agree (Jaccard index .83 to .86), and changes of expression correlate with those of
#'   cells that were not trained on by .85 to .86, those observed in the cells that were by .83 to .84, and with scvi
#'   0.6.8's settings by .82 (one seed).
#' @references Svensson V (2020) Droplet scRNA-seq is not zero-inflated. *Nature Biotechnology* 38:147-150.
#' @seealso [diagnose()], which says of a fit whether it is to be believed.
#' @name recommended_defaults
NULL

default_sets <- c("recommended", "scvi-0.6.8")

# `given`: arguments of VAE() and of the trainers, by `homes` as sort_arguments() gives them. The same, with those of
# the set `defaults` where nothing was given.
with_defaults <- function(given, defaults, dataset, n_epochs) {
    if (defaults != "recommended") return(given)
    n_steps <- n_epochs * steps_per_epoch(nb_cells(dataset), given$trainer)
    recommended <- list(
        model = list(library = "observed", dispersion_start = "one", scale_start = "shares",
            reconstruction_loss = "nb"),
        trainer = list(max_kl_weight = recommended_kl_weight(dataset), n_epochs_kl_warmup = NULL,
            n_iter_kl_warmup = n_steps, lr_dispersion = 2e-2,
            n_iter_fixed_dispersion = steps_before_dispersions(n_steps)),
        # No KL weight: with a larger one the classifier of a SCANVI is hardly ever sure.
        labelled = list(lr_dispersion = 2e-2)
    )
    # Either way of counting is a choice.
    if (any(c("n_epochs_kl_warmup", "n_iter_kl_warmup") %in% names(given$trainer))) {
        recommended$trainer[c("n_epochs_kl_warmup", "n_iter_kl_warmup")] <- list(NULL)
    }
    # What may end early, or hardly moves at the end, must not leave dispersions where they start.
    if (!is.null(given$trainer$early_stopping_kwargs) || identical(given$trainer$lr_schedule, "cosine")) {
        recommended$trainer$n_iter_fixed_dispersion <- NULL
    }
    if (identical(given$model$dispersion, "gene-cell")) {
        recommended$model$dispersion_start <- NULL
        recommended$trainer[c("lr_dispersion", "n_iter_fixed_dispersion")] <- NULL
        recommended$labelled$lr_dispersion <- NULL
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
recommended_kl_weight <- function(dataset) max(1, min(5, stats::median(cell_totals(dataset)) / 25))

# The latent space comes first, but a log dispersion that is to move by 3 or 4 at a rate of .02 needs so many steps.
steps_before_dispersions <- function(n_steps) max(0, min(round(0.8 * n_steps), n_steps - 200))

# Minibatches of an epoch: a last one of one or two cells is none.
steps_per_epoch <- function(n_cells, arguments) {
    n_train <- training_size(n_cells, arguments)
    batch_size <- or_number(arguments$data_loader_kwargs$batch_size,
        or_number(arguments$batch_size, formals(UnsupervisedTrainer)$batch_size))
    max(1, n_train %/% batch_size + (n_train %% batch_size >= 3))
}

# Cells that a trainer with these arguments trains on.
training_size <- function(n_cells, arguments) {
    n_named <- function(cells) if (is.logical(cells)) sum(cells, na.rm = TRUE) else length(cells)
    if (!is.null(arguments$train_indices)) return(n_named(arguments$train_indices))
    if (!is.null(arguments$test_indices)) return(max(0, n_cells - n_named(arguments$test_indices)))
    floor(n_cells * min(1, or_number(arguments$train_size, formals(UnsupervisedTrainer)$train_size)))
}

# What is not as it should be counts as the default: the trainer says so afterwards.
or_number <- function(x, default) if (is.numeric(x) && length(x) == 1L && is.finite(x) && x > 0) x else default

# Counted in steps: a pass over few cells teaches little, and many passes over them teach their noise.
epochs_of_run <- function(n_epochs, defaults, n_cells, arguments) {
    if (!is.null(n_epochs)) return(check_count(n_epochs, "n_epochs", lower = 0L))
    of_scvi <- resolve_n_epochs(NULL, n_cells)
    if (defaults != "recommended") return(of_scvi)
    min(of_scvi, max(50, min(100, round(2000 / steps_per_epoch(n_cells, arguments)))))
}
