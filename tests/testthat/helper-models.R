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
    options[...names()] <- list(...)
    model <- do.call(VAE, options)
    load_state_dict(model, state)
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
