# Models, data sets and minibatches from the reference numbers, and small ones made up.

reference_dataset <- function(ref) {
    GeneExpressionDataset(ref$counts, batch = ref$cells$batch, labels = ref$cells$label,
        gene_names = as.character(ref$genes$gene), empty_cells = "keep")
}

# The model of a reference folder with its weights loaded; `...` overrides options.
reference_model <- function(ref, ..., state = ref$state_dict) {
    config <- ref$config
    options <- list(
        n_input = config$n_genes, n_batch = config$model_n_batch, n_labels = config$model_n_labels,
        n_hidden = config$n_hidden, n_latent = config$n_latent, n_layers = config$n_layers,
        dropout_rate = config$dropout_rate, dispersion = config$dispersion,
        log_variational = config$log_variational, reconstruction_loss = config$reconstruction_loss,
        latent_distribution = config$latent_distribution, seed = 1
    )
    make <- if (is.null(config$model)) VAE else get(config$model, asNamespace("rscvi"))
    if (config$model %in% "LDVAE") {
        names(options)[names(options) == "n_layers"] <- "n_layers_encoder"
        options <- c(options, config[c("use_batch_norm", "bias")])
    }
    options <- options[names(options) %in% names(formals(make))]
    options[...names()] <- list(...)
    load_state_dict(do.call(make, options), state)
}

# The weights after the reference's three steps: all that 0.6.8 has, and nothing else.
expect_trained_state <- function(model, expected) {
    state <- state_dict(model)
    summaries <- grep("#summary$", names(expected), value = TRUE)
    for (name in setdiff(names(expected), summaries)) expect_close(state[[name]], expected[[name]], tolerance = 1e-3)
    for (name in summaries) {
        x <- state[[sub("#summary$", "", name)]]
        row_major <- if (is.matrix(x)) as.vector(t(x)) else as.vector(x)
        expect_close(c(sum(x), sum(abs(x)), sum(x^2), row_major[1], row_major[length(x)]),
            as.vector(expected[[name]]), tolerance = 1e-3)
    }
    expect_setequal(names(state), unique(sub("#summary$", "", names(expected))))
}

# The first cells of a reference folder, as fit_minibatches() and loss_terms() take them.
reference_minibatch <- function(ref, cells = seq_len(ref$config$n_forward)) {
    list(
        x = t(as.matrix(ref$counts))[cells, , drop = FALSE],
        local_l_mean = ref$cells$local_mean[cells], local_l_var = ref$cells$local_var[cells],
        batch_index = ref$cells$batch[cells] + 1L, y = ref$cells$label[cells] + 1L
    )
}

# A small data set of two batches and two labels, drawn anew for each seed.
small_dataset <- function(n_genes = 12, n_cells = 60, seed = 1) {
    withr::with_seed(seed, {
        counts <- matrix(stats::rnbinom(n_genes * n_cells, mu = rep(stats::rexp(n_genes, 0.3), n_cells), size = 2),
            nrow = n_genes)
        counts[1, ] <- counts[1, ] + 1L
        GeneExpressionDataset(counts, batch = rep(c("a", "b"), length.out = n_cells),
            labels = rep(c("x", "y"), each = n_cells / 2))
    })
}

small_model <- function(dataset, ..., seed = 1) VAE(dataset, n_hidden = 8, n_latent = 3, ..., seed = seed)
