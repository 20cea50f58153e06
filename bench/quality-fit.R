# One fit of bench/quality.R, and what is measured of it.

# What the names of options stand for: arguments of VAE(), of UnsupervisedTrainer() and of train(). "recommended": those
# of runSCVI(); other options win.
quality_levers <- list(
    plain = list(), A = list(model = list(dispersion_start = "moments")),
    K = list(model = list(library_start = "prior")), R = list(model = list(library = "residual")),
    C = list(model = list(library = "observed")), S = list(model = list(scale_start = "shares")),
    N = list(model = list(normalisation = "layer")),
    nb = list(model = list(reconstruction_loss = "nb")), cosine = list(trainer = list(lr_schedule = "cosine")),
    recommended = list(recommended = TRUE), D = list(trainer = list(lr_dispersion = 1e-2)),
    stop = list(trainer = list(early_stopping_kwargs = list(early_stopping_metric = "elbo",
        save_best_state_metric = "elbo", patience = 15, threshold = 0)))
)
# What undoes a part of a set ("at-once": of "recommended" alone).
quality_levers <- c(quality_levers, list(
    zinb = list(model = list(reconstruction_loss = "zinb")), `latent-library` = list(model = list(library = "latent")),
    `batch-norm` = list(model = list(normalisation = "batch")),
    `random-shares` = list(model = list(scale_start = "random")),
    `normal-start` = list(model = list(dispersion_start = "normal")),
    `one-start` = list(model = list(dispersion_start = "one")),
    `moments-start` = list(model = list(dispersion_start = "moments")),
    `always-learning` = list(trainer = list(n_iter_fixed_dispersion = 0)),
    `one-rate` = list(trainer = list(lr_dispersion = NULL)), `at-once` = list(trainer = list(n_iter_kl_warmup = NULL))
))
# Those with a value: "beta=2", "free=0.1", "warmup=500" (minibatches), "rise=1" and "fixed=0.8" (over that share of
# training), "lr=0.004", "rate=0.01" (of the dispersions), "dropout=0", "length=0.5" (that share of the epochs).
quality_values <- list(
    beta = function(x) list(trainer = list(max_kl_weight = x)), free = function(x) list(trainer = list(free_bits = x)),
    warmup = function(x) list(trainer = list(n_iter_kl_warmup = x)), rise = function(x) list(rise = x),
    fixed = function(x) list(fixed = x),
    lr = function(x) list(train = list(lr = x)), rate = function(x) list(trainer = list(lr_dispersion = x)),
    length = function(x) list(length = x), dropout = function(x) list(model = list(dropout_rate = x)),
    latent = function(x) list(model = list(n_latent = x))
)

# "K+A+beta=2" -> list(model =, trainer =, train =).
parse_levers <- function(text) {
    settings <- list(model = list(), trainer = list(), train = list())
    for (part in strsplit(text, "+", fixed = TRUE)[[1L]]) {
        name <- sub("=.*", "", part)
        given <- quality_levers[[part]]
        if (name %in% names(quality_values)) given <- quality_values[[name]](as.numeric(sub(".*=", "", part)))
        if (is.null(given)) {
            stop("unknown option ", part, "; there are ", toString(c(names(quality_levers), names(quality_values))))
        }
        settings <- utils::modifyList(settings, given, keep.null = TRUE)
    }
    settings
}

# Early stopping must not look at the test cells: a tenth of the training cells is set aside for it.
watched_cells <- function(train, settings, seed) {
    if (is.null(settings$trainer$early_stopping_kwargs)) return(NULL)
    set.seed(seed)
    sort(sample(train, length(train) %/% 10L))
}

# Fits of a split differ in `seed`, which decides weights, the order of cells, which of them early stopping watches, and
# all draws.
fit_quality <- function(data, test, settings, seed, n_epochs) {
    dataset <- rscvi::GeneExpressionDataset(data$counts, batch = data$batch)
    train <- setdiff(seq_len(ncol(data$counts)), test)
    watched <- watched_cells(train, settings, seed)
    trained_on <- setdiff(train, watched)
    if (isTRUE(settings$recommended)) {
        n_epochs <- rscvi:::epochs_of_run(NULL, "recommended", ncol(data$counts), list(train_indices = trained_on))
    }
    if (!is.null(settings$length)) n_epochs <- round(settings$length * n_epochs)
    # Starts are those of the training cells.
    of_training <- rscvi::update_cells(dataset, trained_on)
    if (!is.null(settings$rise)) {
        settings$trainer$n_iter_kl_warmup <- round(settings$rise * n_epochs * ceiling(length(trained_on) / 128))
    }
    if (!is.null(settings$fixed)) {
        settings$trainer$n_iter_fixed_dispersion <- round(settings$fixed * n_epochs *
            ceiling(length(trained_on) / 128))
    }
    if (isTRUE(settings$recommended)) {
        settings$trainer$train_indices <- trained_on
        settings <- rscvi:::with_defaults(settings[c("model", "trainer", "train")], "recommended", of_training,
            n_epochs)
        settings$trainer$train_indices <- NULL
    }
    vae <- do.call(rscvi::VAE, c(list(of_training, n_batch = rscvi::n_batches(dataset), seed = seed), settings$model))
    trainer <- do.call(rscvi::UnsupervisedTrainer, utils::modifyList(list(model = vae, gene_dataset = dataset,
        train_indices = trained_on, test_indices = if (is.null(watched)) test else watched, seed = seed,
        show_progbar = FALSE), c(list(n_epochs_kl_warmup = NULL), settings$trainer), keep.null = TRUE))
    do.call(rscvi::train, c(list(trainer, n_epochs = n_epochs, seed = seed), settings$train))
    list(vae = vae, dataset = dataset, train = train)
}

# Named numbers. -ln p by 100 draws and the null model on the first 500 held-out cells at most, all else on all of them;
# the latent space, the mean of q(z | x), on all cells, and where labels are looked at, on those that have one.
measure_quality <- function(fit, data, test, seed, n_draws = 100L, n_cells = 500L) {
    of <- function(cells) rscvi::Posterior(fit$vae, fit$dataset, indices = cells)
    some <- utils::head(test, n_cells)
    mean_library <- rscvi::get_stats(of(test), noise = list(library = numeric(length(test))))
    error <- mean_library - log(Matrix::colSums(data$counts[, test]))
    z <- rscvi::latent_matrix(of(NULL))
    out <- c(
        test_neg_marginal_ll = rscvi::marginal_ll(of(some), n_mc_samples = n_draws, seed = seed),
        null_nll = null_neg_log_likelihood(data$counts, fit$train, some),
        test_neg_elbo = rscvi::elbo(of(test), seed = seed), train_neg_elbo = rscvi::elbo(of(fit$train), seed = seed),
        library_bias = mean(error), library_sd = stats::sd(error), active_units = sum(apply(z, 2L, stats::var) > 0.01)
    )
    if (!is.null(data$batch)) {
        out["batch_entropy"] <- rscvi::entropy_batch_mixing(z, data$batch, n_neighbors = 50, n_pools = Inf)
    }
    known <- which(!is.na(data$labels))
    if (length(known)) {
        scores <- rscvi::clustering_scores(z[known, ], data$labels[known], n_init = 20, seed = seed)
        out[c("silhouette_label", "nmi", "ari")] <- unlist(scores[c("asw", "nmi", "ari")])
        out["knn_purity"] <- rscvi::knn_purity(z[known, ], data$labels[known], n_neighbors = 30)
    }
    out
}
