# Models: what they are, how they are made, their state. Fitting and asking them is in model-functions.R.

#' The variational autoencoder of scVI
#'
#' Counts \eqn{x_{ig}} of cell i and gene g are modelled as draws from a zero-inflated negative binomial (or negative
#' binomial, or Poisson) with mean \eqn{e^{l_i} \rho_{ig}}, where \eqn{l_i} is the log library size, and the shares
#' \eqn{\rho_i} (which sum to 1 over genes) are a neural network's function of a low-dimensional \eqn{z_i} and of the
#' batch (Lopez et al. 2018, *Nature Methods* 15:1053; scvi 0.6.8, `models/vae.py`). Two more networks encode a cell's
#' counts into the approximate posteriors \eqn{q(z_i|x_i)} and \eqn{q(l_i|x_i)}.
#'
#' # Covariates
#' Covariates of the data set (see [GeneExpressionDataset()]) go to every layer of the decoder, as the batch does: one
#' column for each category, and one for each continuous covariate, standardised with mean and standard deviation of the
#' data set that the model is made for. The latent space is then free of what they explain, as far as the cells at hand
#' tell it apart from the rest.
#'
#' # Starts
#' With `dispersion_start = "moments"` the inverse dispersion of gene g starts at
#' \deqn{\theta_g = \frac{\sum_i \mu_{ig}^2}{\sum_i [(x_{ig} - \mu_{ig})^2 - x_{ig}]},\quad \mu_{ig} = N_i p_g,}
#' with \eqn{N_i} the number of counts of cell i and \eqn{p_g} the gene's share of all counts: what makes the variance
#' of a negative binomial, \eqn{\mu + \mu^2 / \theta}, that of the data. \eqn{\ln\theta} is kept in \eqn{[-7, 5]}; a
#' gene that varies no more than a Poisson variable starts at 5. With `"gene-batch"` and `"gene-label"` the sums are
#' over the cells of a batch or label, and a gene without counts there takes its value among all cells. The other
#' weights are those that the same `seed` gives without these options. They need a data set for `n_input`; a model that
#' sees its test cells nowhere is made for a data set of the training cells alone.
#'
#' @param n_input number of genes; or a [GeneExpressionDataset()], from which `n_input`, `n_batch` and `n_labels` are
#'   then taken.
#' @param n_batch number of batches; with 0 or 1 the batch is not used.
#' @param n_labels number of labels, for `dispersion = "gene-label"`.
#' @param n_hidden number of units of each hidden layer.
#' @param n_latent dimension of the latent space.
#' @param n_layers number of hidden layers of the encoder of z and of the decoder.
#' @param dropout_rate dropout in the encoders while training, in `[0, 1)`.
#' @param dispersion one inverse dispersion per `"gene"`, `"gene-batch"`, `"gene-label"`, or `"gene-cell"` (an output of
#'   the decoder).
#' @param log_variational encode \eqn{\ln(1 + x)} rather than x.
#' @param reconstruction_loss `"zinb"`, `"nb"` or `"poisson"`.
#' @param latent_distribution `"normal"`, or `"ln"` (logistic normal: z is the softmax of a Gaussian).
#' @param library `"latent"`: the log library size is a latent variable with a prior by batch, as in scvi 0.6.8;
#'   `"observed"`: it is the logarithm of the cell's number of counts, as today's scVI has it by default. Then there is
#'   no encoder for it, and `kl_l` is 0. `"residual"`: a latent variable with the same prior, the mean of whose
#'   \eqn{q(l_i|x_i)} is the logarithm of the number of counts plus what the encoder adds; that is 0 at the start.
#' @param encode_covariates whether the encoders see batch and covariates, too, and not the decoder alone.
#' @param dispersion_start where \eqn{\ln\theta} of each gene (and batch, or label) starts: `"normal"`, at draws from
#'   N(0, 1), as in scvi 0.6.8; `"one"`, at 0, which is a \eqn{\theta} of 1; `"moments"`, at estimates from the cells
#'   of the data set, see "Starts".
#' @param library_start where the library's encoder starts: `"random"`, as any layer, as in scvi 0.6.8; `"prior"`: the
#'   biases of its outputs start at the mean of the log library size (with `library = "residual"`: at 0) and at the
#'   logarithm of its prior variance, means over the cells of the data set.
#' @param scale_start where the biases of the decoder's shares start: `"random"`, as those of any layer, as in scvi
#'   0.6.8; `"shares"`, at the logarithms of the genes' shares of all counts of the data set. A gene that varies much
#'   more than others has gradients too small to find its mean from a random start, and may end far from it.
#' @param normalisation how hidden units of encoders and decoder are normalised: `"batch"`, over the cells of a
#'   minibatch, as in scvi 0.6.8 (Ioffe & Szegedy 2015); `"layer"`, over the units of each cell (Ba, Kiros & Hinton
#'   2016, arXiv:1607.06450), so that a cell is encoded alike in training and afterwards, whatever the cells beside it.
#' @param seed integer that decides the initial weights; `NULL` draws one from R's generator.
#'
#' @return An object of class `VAE` (see [SCVIModel-class]) with random initial weights, on the CPU.
#' @section Errors: `rscvi_invalid_argument`, naming the argument, for values that are out of range or unknown.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch")
#' vae <- VAE(dataset, n_latent = 10, seed = 1)
#' vae
#' VAE(n_input = 500, n_batch = 2, reconstruction_loss = "nb")
#' @export
VAE <- function(n_input, n_batch = 0, n_labels = 0, n_hidden = 128, n_latent = 10, n_layers = 1, dropout_rate = 0.1,
                dispersion = "gene", log_variational = TRUE, reconstruction_loss = "zinb",
                latent_distribution = "normal", library = "latent", encode_covariates = FALSE,
                dispersion_start = "normal", library_start = "random", scale_start = "random",
                normalisation = "batch", seed = NULL) {
    size <- model_size(n_input, if (!missing(n_batch)) n_batch, if (!missing(n_labels)) n_labels)
    options <- network_options(size, n_hidden, n_latent, n_layers, dropout_rate, dispersion, log_variational,
        reconstruction_loss, latent_distribution, library, encode_covariates, dispersion_start, library_start,
        normalisation, scale_start)
    new_model("VAE", options, size$names, resolve_seed(seed), size$dataset)
}

# Numbers of genes, batches and labels, and their names, if they come with a data set. An explicit number wins:
# n_batch = 0 asks for a model that ignores the batches.
model_size <- function(n_input, n_batch, n_labels) {
    names <- list(genes = NULL, batch_levels = NULL, label_levels = NULL)
    covariates <- dataset <- NULL
    if (methods::is(n_input, "GeneExpressionDataset")) {
        dataset <- n_input
        n_input <- nb_genes(dataset)
        if (is.null(n_batch)) n_batch <- n_batches(dataset)
        if (is.null(n_labels)) n_labels <- n_labels(dataset)
        names <- list(genes = gene_names(dataset), batch_levels = levels(batch_indices(dataset)),
            label_levels = cell_types(dataset))
        report_constant_covariates(dataset@covariates)
        covariates <- describe_covariates(dataset@covariates)
    }
    if (isS4(n_input) || is.matrix(n_input)) {
        abort_rscvi(c("{.arg n_input} must be a {.cls GeneExpressionDataset} or a number of genes, not
            {describe_value(n_input)}.", i = "Make a data set first: {.fn GeneExpressionDataset}."))
    }
    list(n_input = n_input, n_batch = if (is.null(n_batch)) 0 else n_batch,
        n_labels = if (is.null(n_labels)) 0 else n_labels, names = names, covariates = covariates, dataset = dataset)
}

# The options that all models have.
network_options <- function(size, n_hidden, n_latent, n_layers, dropout_rate, dispersion, log_variational,
                            reconstruction_loss, latent_distribution = "normal", library, encode_covariates,
                            dispersion_start, library_start, normalisation, scale_start = "random") {
    options <- list(
        n_input = check_count(size$n_input, "n_input", lower = 1L),
        n_batch = check_count(size$n_batch, "n_batch", lower = 0L),
        n_labels = check_count(size$n_labels, "n_labels", lower = 0L),
        n_hidden = check_count(n_hidden, "n_hidden", lower = 1L),
        n_latent = check_count(n_latent, "n_latent", lower = 1L),
        n_layers = check_count(n_layers, "n_layers", lower = 1L),
        dropout_rate = check_number(dropout_rate, "dropout_rate", lower = 0, upper = 1, upper_open = TRUE),
        dispersion = check_choice(dispersion, "dispersion", c("gene", "gene-batch", "gene-label", "gene-cell")),
        log_variational = check_flag(log_variational, "log_variational"),
        reconstruction_loss = check_choice(reconstruction_loss, "reconstruction_loss", c("zinb", "nb", "poisson")),
        latent_distribution = check_choice(latent_distribution, "latent_distribution", c("normal", "ln")),
        library = check_choice(library[1L], "library", c("latent", "observed", "residual")),
        encode_covariates = check_flag(encode_covariates, "encode_covariates"), covariates = size$covariates,
        dispersion_start = check_choice(dispersion_start, "dispersion_start", c("normal", "one", "moments")),
        library_start = check_choice(library_start, "library_start", c("random", "prior")),
        scale_start = check_choice(scale_start, "scale_start", c("random", "shares")),
        normalisation = check_choice(normalisation, "normalisation", c("batch", "layer"))
    )
    check_starts(options, size$dataset)
    options
}

# Starts from the data go with what is started, and need the data.
check_starts <- function(options, dataset) {
    if (options$dispersion_start != "normal" && options$dispersion == "gene-cell") {
        abort_rscvi("{.code dispersion_start = \"{options$dispersion_start}\"} does not go with
            {.code dispersion = \"gene-cell\"}: that is an output of the decoder.")
    }
    if (options$library_start == "prior" && options$library == "observed") {
        abort_rscvi("{.code library_start = \"prior\"} does not go with {.code library = \"observed\"}, which has no
            encoder.")
    }
    name <- utils::head(starts_from_data(options), 1L)
    if (length(name) && is.null(dataset)) {
        abort_rscvi(c("{.arg {name}} is {.val {options[[name]]}}, but {.arg n_input} is a number: there are no data to
            start from.", i = "Give a {.fn GeneExpressionDataset} for {.arg n_input}."))
    }
    if (options$dispersion_start == "moments" && options$dispersion == "gene-batch" &&
        nlevels(dataset@batch) > options$n_batch) {
        abort_rscvi("{.arg n_batch} is {options$n_batch}, but the data set has {nlevels(dataset@batch)} batches to start
            from.")
    }
    if (options$dispersion_start == "moments" && options$dispersion == "gene-label" &&
        nlevels(dataset@labels) > options$n_labels) {
        abort_rscvi("{.arg n_labels} is {options$n_labels}, but the data set has {nlevels(dataset@labels)} labels to
            start from.")
    }
}

# Names of the options that ask for it.
starts_from_data <- function(options) {
    from_data <- c(dispersion_start = "moments", library_start = "prior", scale_start = "shares")
    names(from_data)[vapply(names(from_data), function(name) identical(options[[name]], from_data[[name]]), NA)]
}

# `dataset`: what the model starts from where its options ask for that; NULL for one whose weights are loaded.
new_model <- function(class, options, names, seed, dataset = NULL) {
    model <- methods::new(class,
        options = options, genes = names$genes, batch_levels = names$batch_levels, label_levels = names$label_levels,
        state = new.env(parent = emptyenv()), version = as.character(utils::packageVersion("rscvi"))
    )
    model@state$handle <- new_core_model(model, seed)
    if (!is.null(dataset) && length(starts_from_data(options))) {
        core(model_start_from_data_cpp(model_handle(model), dataset_handle(dataset)))
    }
    sync_weights(model)
    model
}

# The core's counterpart, with fresh weights.
new_core_model <- function(model, seed) {
    if (is_classifier(model)) return(core(classifier_new_cpp(model@options, seed)))
    options <- model@options
    categorical <- Filter(is_categorical, options$covariates)
    continuous <- Filter(Negate(is_categorical), options$covariates)
    number <- function(what) vapply(continuous, function(x) x[[what]], numeric(1L))
    core(model_new_cpp(c(options, list(
        type = class(model)[1L], n_categories = vapply(categorical, function(x) length(x$levels), integer(1L)),
        continuous_mean = number("mean"), continuous_sd = number("sd")
    )), seed))
}

# VAEC and SCANVI.
has_classifier <- function(model) methods::is(model, "LabelledModel")

setMethod("show", "SCVIModel", function(object) {
    o <- object@options
    n_weights <- sum(lengths(object@state$weights))
    cat(sprintf("%s for %d genes, %s\n", class(object), o$n_input,
        if (o$n_batch > 1L) paste(o$n_batch, "batches") else "batches not used"))
    cat(sprintf("  latent space: %d dimensions, %s\n", o$n_latent,
        if (o$latent_distribution == "ln") "logistic normal" else "normal"))
    cat(sprintf("  counts: %s, one dispersion per %s\n", o$reconstruction_loss, o$dispersion))
    if (has_classifier(object)) cat(sprintf("  labels: %s\n", label_summary(object)))
    if (!is.null(o$covariates)) cat(sprintf("  covariates: %s\n", covariate_summary(o$covariates)))
    if (o$library == "observed") cat("  library size: as observed\n")
    if (o$library == "residual") cat("  library size: latent, encoded as observed plus a residual\n")
    if (o$encode_covariates) cat("  the encoders see batch and covariates\n")
    cat(sprintf("  networks: %d hidden layer%s of %d units%s, dropout %s; %s weights\n", o$n_layers,
        if (o$n_layers > 1L) "s" else "", o$n_hidden, if (o$normalisation == "layer") ", layer norm" else "",
        format(o$dropout_rate), format(n_weights, big.mark = ",")))
    invisible(object)
})

label_summary <- function(model) {
    names <- model@label_levels
    if (is.null(names)) return(as.character(model@options$n_labels))
    sprintf("%d (%s)", length(names), paste(c(utils::head(names, 3L), if (length(names) > 3L) "..."), collapse = ", "))
}

#' The weights of a model
#'
#' `state_dict()` gives all parameters and running statistics, under the names of scvi 0.6.8
#' (`"z_encoder.encoder.fc_layers.Layer 0.0.weight"`, ...); `load_state_dict()` overwrites them.
#' @param model a model, see [VAE()].
#' @param state named list of arrays, as `state_dict()` gives it; the order does not matter.
#' @return `state_dict()`: a named list of R arrays in torch's index order, so that a weight is an output x input matrix
#'   and a bias a vector. `load_state_dict()`: the model, invisibly; **it is changed in place**.
#' @section Errors: `rscvi_invalid_argument`, naming the tensor, if one is missing, unknown, of another shape or not
#'   numeric; the model is then as it was.
#' @examples
#' vae <- VAE(n_input = 20, n_hidden = 8, n_latent = 2, seed = 1)
#' state <- state_dict(vae)
#' dim(state[["z_encoder.mean_encoder.weight"]])
#' other <- VAE(n_input = 20, n_hidden = 8, n_latent = 2, seed = 2)
#' load_state_dict(other, state)
#' identical(state_dict(other), state)
#' @export
state_dict <- function(model) {
    check_class(model, "model", "SCVIModel")
    model@state$weights
}

#' @rdname state_dict
#' @export
load_state_dict <- function(model, state) {
    check_class(model, "model", "SCVIModel")
    if (!is.list(state) || is.null(names(state)) || any(!nzchar(names(state)))) {
        abort_rscvi("{.arg state} must be a named list of arrays, not {describe_value(state)}.")
    }
    for (name in names(state)) {
        if (!is.numeric(state[[name]]) || length(state[[name]]) == 0L) {
            abort_rscvi("In {.arg state}, tensor {.val {name}} must be numeric, not {describe_value(state[[name]])}.")
        }
        # What is finite here may not be in the single precision of the core.
        if (!all(is.finite(round_to_float_cpp(state[[name]])))) {
            abort_rscvi("In {.arg state}, tensor {.val {name}} has values that are missing or infinite in single
                precision.")
        }
    }
    core(model_load_state_cpp(model_handle(model), state))
    sync_weights(model)
    invisible(model)
}

#' An independent copy of a model
#'
#' Models have reference semantics (see [SCVIModel-class]); what is done to the copy leaves the original alone.
#' @param model a model, see [VAE()].
#' @return A model of the same class, with the same weights.
#' @examples
#' vae <- VAE(n_input = 20, n_hidden = 8, n_latent = 2)
#' before <- clone(vae)
#' @export
clone <- function(model) {
    check_class(model, "model", "SCVIModel")
    copy <- model
    copy@state <- new.env(parent = emptyenv())
    copy@state$weights <- model@state$weights
    copy@state$training <- model@state$training
    copy
}
