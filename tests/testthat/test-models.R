# Models as objects: defaults, what is taken from a data set, initial weights, state, copies, refusals.

# The tensors of a VAE and their shapes, written out from the description of scvi 0.6.8's networks.
expected_shapes <- function(n_input, n_batch, n_labels, n_hidden, n_latent, n_layers, dispersion) {
    shapes <- list()
    linear <- function(name, n_in, n_out) {
        shapes[[paste0(name, ".weight")]] <<- c(n_out, n_in)
        shapes[[paste0(name, ".bias")]] <<- n_out
    }
    block <- function(name, n_in, layers, extra = 0) {
        for (i in seq_len(layers) - 1) {
            layer <- sprintf("%s.fc_layers.Layer %d.", name, i)
            linear(paste0(layer, "0"), (if (i == 0) n_in else n_hidden) + extra, n_hidden)
            for (what in c("weight", "bias", "running_mean", "running_var")) {
                shapes[[paste0(layer, "1.", what)]] <<- n_hidden
            }
            shapes[[paste0(layer, "1.num_batches_tracked")]] <<- 1
        }
    }
    px_r <- list("gene" = n_input, "gene-batch" = c(n_input, n_batch), "gene-label" = c(n_input, n_labels))
    shapes$px_r <- px_r[[dispersion]]
    block("z_encoder.encoder", n_input, n_layers)
    linear("z_encoder.mean_encoder", n_hidden, n_latent)
    linear("z_encoder.var_encoder", n_hidden, n_latent)
    # The encoder of the library size has one layer whatever n_layers is.
    block("l_encoder.encoder", n_input, 1)
    linear("l_encoder.mean_encoder", n_hidden, 1)
    linear("l_encoder.var_encoder", n_hidden, 1)
    block("decoder.px_decoder", n_latent, n_layers, extra = if (n_batch > 1) n_batch else 0)
    linear("decoder.px_scale_decoder.0", n_hidden, n_input)
    linear("decoder.px_r_decoder", n_hidden, n_input)
    linear("decoder.px_dropout_decoder", n_hidden, n_input)
    shapes
}
shape <- function(x) as.numeric(if (is.null(dim(x))) length(x) else dim(x))

test_that("VAE's defaults are those of the core and of 0.6.8", {
    reference <- list(
        n_batch = 0, n_labels = 0, n_hidden = 128, n_latent = 10, n_layers = 1, dropout_rate = 0.1,
        dispersion = "gene", log_variational = TRUE, reconstruction_loss = "zinb", latent_distribution = "normal",
        # Beyond 0.6.8, with the values that leave it as it was.
        library = "latent", encode_covariates = FALSE, dispersion_start = "normal", library_start = "random",
        scale_start = "random", normalisation = "batch"
    )
    defaults <- as.list(formals(VAE))
    expect_identical(names(defaults), c("n_input", names(reference), "seed"))
    expect_identical(defaults[names(reference)], reference)
    expect_null(defaults$seed)
    core <- model_default_options_cpp()
    expect_setequal(intersect(names(core), names(reference)), names(core))
    expect_gte(length(core), 7)
    for (name in names(core)) expect_equal(core[[name]], reference[[name]], info = name)
    # What a model made without further arguments was built with.
    built <- VAE(5, seed = 1)@options
    expect_equal(built[names(reference)], reference)
})

test_that("a data set gives the numbers and the names, and an explicit number wins", {
    dataset <- small_dataset()
    model <- VAE(dataset, seed = 1)
    expect_equal(model@options[c("n_input", "n_batch", "n_labels")], list(n_input = 12, n_batch = 2, n_labels = 2))
    expect_identical(model@genes, gene_names(dataset))
    expect_identical(model@batch_levels, c("a", "b"))
    expect_identical(model@label_levels, c("x", "y"))
    expect_identical(ncol(state_dict(model)[["decoder.px_decoder.fc_layers.Layer 0.0.weight"]]), 10L + 2L)
    without <- VAE(dataset, n_batch = 0, seed = 1)
    expect_identical(ncol(state_dict(without)[["decoder.px_decoder.fc_layers.Layer 0.0.weight"]]), 10L)
    from_numbers <- VAE(12, n_batch = 2, n_labels = 2, seed = 1)
    expect_identical(state_dict(from_numbers), state_dict(model))
    expect_null(from_numbers@genes)
})

test_that("state_dict has the names and shapes of 0.6.8 for every depth and dispersion", {
    for (n_layers in 1:3) {
        for (dispersion in c("gene", "gene-batch", "gene-label", "gene-cell")) {
            for (n_batch in c(1, 3)) {
                sizes <- list(n_input = 7, n_batch = n_batch, n_labels = 2, n_hidden = 5, n_latent = 4,
                    n_layers = n_layers, dispersion = dispersion)
                state <- state_dict(do.call(VAE, c(sizes, seed = 1)))
                expected <- do.call(expected_shapes, sizes)
                expect_identical(names(state), names(expected), info = paste(n_layers, dispersion, n_batch))
                expect_identical(lapply(state, shape), lapply(expected, as.numeric),
                    info = paste(n_layers, dispersion, n_batch))
            }
        }
    }
})

test_that("initial weights are those of torch's layers: uniform within 1 over the root of fan-in, batch norm neutral", {
    model <- VAE(400, n_batch = 3, n_hidden = 64, n_latent = 10, seed = 7)
    state <- state_dict(model)
    weights <- grep("(\\.0|coder)\\.weight$", names(state), value = TRUE)
    expect_length(weights, 3 + 4 + 3)
    for (name in weights) {
        bound <- 1 / sqrt(ncol(state[[name]]))
        bias <- state[[sub("weight$", "bias", name)]]
        expect_lte(max(abs(c(state[[name]], bias))), bound * (1 + 1e-6))
        if (length(state[[name]]) > 600) {
            expect_gt(max(state[[name]]), 0.98 * bound)
            expect_lt(min(state[[name]]), -0.98 * bound)
            # A uniform's variance is bound^2 / 3; five standard errors of it over n draws.
            n <- length(state[[name]])
            expect_equal(mean(state[[name]]^2) / (bound^2 / 3), 1, tolerance = 5 * sqrt(0.8 / n))
        }
    }
    norms <- function(what) unlist(state[grep(paste0("Layer 0\\.1\\.", what, "$"), names(state))])
    expect_true(all(norms("weight") == 1) && all(norms("running_var") == 1))
    expect_true(all(norms("bias") == 0) && all(norms("running_mean") == 0))
    expect_true(all(norms("num_batches_tracked") == 0))
    expect_gt(stats::shapiro.test(state$px_r)$p.value, 1e-3)
    expect_equal(c(mean(state$px_r), stats::sd(state$px_r)), c(0, 1), tolerance = 0.2)
})

test_that("a state that is loaded is the state, in any order and whatever the seed of the model was", {
    model <- VAE(12, n_batch = 2, n_hidden = 6, n_latent = 3, n_layers = 2, seed = 1)
    other <- VAE(12, n_batch = 2, n_hidden = 6, n_latent = 3, n_layers = 2, seed = 2)
    expect_false(identical(state_dict(model), state_dict(other)))
    returned <- expect_invisible(load_state_dict(other, rev(state_dict(model))))
    expect_identical(state_dict(other), state_dict(model))
    expect_identical(returned, other)
    # Whole numbers are numbers, and a value is what comes back, in single precision.
    state <- state_dict(model)
    state$px_r <- seq_len(12)
    state[["decoder.px_scale_decoder.0.bias"]][3] <- 0.1
    state[["z_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked"]] <- 41
    load_state_dict(model, state)
    expect_identical(state_dict(model)$px_r, as.numeric(1:12))
    expect_equal(state_dict(model)[["decoder.px_scale_decoder.0.bias"]][3], 0.1, tolerance = 1e-7)
    expect_identical(state_dict(model)[["z_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked"]], 41)
})

test_that("a state that does not fit is refused by the tensor's name, and leaves the model alone", {
    model <- VAE(12, n_batch = 2, n_hidden = 6, n_latent = 3, seed = 1)
    before <- state_dict(model)
    x <- matrix(1:24, 2)
    answer <- inference(model, x, 1:2, seed = 1)
    other <- state_dict(VAE(12, n_batch = 2, n_hidden = 6, n_latent = 3, seed = 2))
    name <- "z_encoder.mean_encoder.weight"
    change <- function(value) {
        other[[name]] <- value
        other
    }
    refuse <- function(state, message) {
        expect_error(load_state_dict(model, state), message, class = "rscvi_invalid_argument")
        expect_identical(state_dict(model), before)
        expect_identical(inference(model, x, 1:2, seed = 1), answer)
    }
    refuse(other[names(other) != name], "lacks.*z_encoder.mean_encoder.weight")
    refuse(c(other, list("w_encoder.bias" = 1)), "does not have.*w_encoder.bias")
    refuse(c(other, other[name]), "more than once")
    refuse(change(matrix(0, 6, 3)), "z_encoder.mean_encoder.weight.*must be 3 x 6, not.*6 x 3")
    refuse(change(rep(0, 18)), "z_encoder.mean_encoder.weight.*must be 3 x 6, not.*18")
    refuse(change(matrix("0", 3, 6)), "z_encoder.mean_encoder.weight.*numeric")
    refuse(change(matrix(TRUE, 3, 6)), "z_encoder.mean_encoder.weight.*numeric")
    refuse(change(numeric(0)), "z_encoder.mean_encoder.weight.*numeric")
    for (bad in c(NA, NaN, Inf, -Inf, 1e300)) {
        refuse(change(matrix(c(0, bad), 3, 6)), "z_encoder.mean_encoder.weight.*missing or infinite")
    }
    # One level deeper: only the last tensor is wrong, and yet the first is not loaded.
    last <- utils::tail(names(other), 1)
    other[[last]] <- c(other[[last]], 0)
    refuse(other, paste0(last, ".*12.*13"))
    refuse(unname(before), "named list")
    refuse(unlist(before), "named list")
    refuse(list(), "named list")
    expect_error(load_state_dict("model", before), "`model`", class = "rscvi_invalid_argument")
    expect_error(state_dict(before), "`model`", class = "rscvi_invalid_argument")
})

test_that("a model has reference semantics, and a clone is independent", {
    dataset <- small_dataset()
    model <- small_model(dataset)
    alias <- model
    copy <- clone(model)
    post <- Posterior(model, dataset)
    post_of_copy <- Posterior(copy, dataset)
    expect_identical(state_dict(copy), state_dict(model))
    before <- state_dict(model)
    latent_before <- latent_matrix(post)
    expect_identical(latent_matrix(post_of_copy), latent_before)

    other <- state_dict(small_model(dataset, seed = 2))
    load_state_dict(model, other)
    expect_identical(state_dict(alias), other)
    expect_false(isTRUE(all.equal(latent_matrix(post), latent_before)))
    expect_identical(latent_matrix(post), latent_matrix(Posterior(small_model(dataset, seed = 2), dataset)))
    expect_identical(state_dict(copy), before)
    expect_identical(latent_matrix(post_of_copy), latent_before)

    train(UnsupervisedTrainer(copy, dataset), n_epochs = 1, seed = 1)
    expect_false(identical(state_dict(copy), before))
    expect_identical(state_dict(model), other)
    # A list that was taken out does not change with the model.
    expect_identical(before, state_dict(small_model(dataset)))
})

test_that("every combination of likelihood, dispersion, latent distribution and number of batches trains and answers", {
    all_counts <- counts(small_dataset())
    types <- rep(c("x", "y"), each = 30)
    datasets <- list(
        "0" = GeneExpressionDataset(all_counts, batch = rep(c("a", "b", "c"), 20), labels = types),
        "1" = GeneExpressionDataset(all_counts, labels = types),
        "3" = GeneExpressionDataset(all_counts, batch = rep(c("a", "b", "c"), 20), labels = types)
    )
    grid <- expand.grid(
        reconstruction_loss = c("zinb", "nb", "poisson"),
        dispersion = c("gene", "gene-batch", "gene-label", "gene-cell"),
        latent_distribution = c("normal", "ln"), n_batch = c(0, 1, 3), stringsAsFactors = FALSE
    )
    n_trained <- 0
    for (row in seq_len(nrow(grid))) {
        o <- as.list(grid[row, ])
        label <- paste(unlist(o), collapse = " ")
        dataset <- datasets[[as.character(o$n_batch)]]
        make <- function() do.call(small_model, c(list(dataset), o))
        if (o$dispersion == "gene-batch" && o$n_batch == 0) {
            expect_error(make(), "n_batch.*gene-batch", class = "rscvi_invalid_argument")
            next
        }
        model <- make()
        before <- state_dict(model)
        trainer <- UnsupervisedTrainer(model, dataset, train_size = 0.8, frequency = 1, batch_size = 16,
            n_epochs_kl_warmup = NULL)
        train(trainer, n_epochs = 2, seed = 1)
        done <- history(trainer)
        expect_identical(done$epoch, c(0, 1, 2), info = label)
        expect_true(all(is.finite(unlist(done[-1, c("loss", "elbo_train_set", "elbo_test_set")]))), info = label)
        expect_true(is.finite(elbo(test_set(trainer), seed = 1)), info = label)
        batch_index <- if (o$n_batch > 0) batch_indices(dataset)[1:20]
        out <- inference(model, t(as.matrix(all_counts))[1:20, ], batch_index, y = labels(dataset)[1:20], seed = 1)
        expect_equal(rowSums(out$px_scale), rep(1, 20), tolerance = 1e-5, info = label)
        expect_true(all(unlist(lapply(out, is.finite))), info = label)
        expect_true(all(out$px_r > 0) && all(out$qz_v > 1e-4), info = label)
        if (o$latent_distribution == "ln") expect_equal(rowSums(out$z), rep(1, 20), tolerance = 1e-5, info = label)
        # All that the likelihood reads has learned; what it does not read is as it was.
        changed <- vapply(names(before), function(name) !identical(state_dict(model)[[name]], before[[name]]), NA)
        idle <- c(
            if (o$dispersion != "gene-cell" || o$reconstruction_loss == "poisson") "decoder.px_r_decoder",
            if (o$dispersion != "gene-cell" && o$reconstruction_loss == "poisson") "px_r",
            if (o$reconstruction_loss != "zinb") "decoder.px_dropout_decoder"
        )
        is_idle <- sub("\\.(weight|bias)$", "", names(before)) %in% idle
        expect_identical(unname(changed), !is_idle, info = label)
        n_trained <- n_trained + 1
    }
    expect_identical(n_trained, 72 - 6)
})

test_that("arguments that are out of range or unknown are refused with their name and value", {
    refuse <- function(message, ...) {
        arguments <- utils::modifyList(list(n_input = 10, seed = 1), list(...))
        expect_error(do.call(VAE, arguments), message, class = "rscvi_invalid_argument")
    }
    refuse("`n_input`.*0", n_input = 0)
    refuse("`n_input`.*2.5", n_input = 2.5)
    refuse("`n_input`.*NA", n_input = NA_real_)
    refuse("`n_input`.*matrix", n_input = matrix(1, 2, 2))
    refuse("`n_batch`.*-1", n_batch = -1)
    refuse("`n_labels`.*\"many\"", n_labels = "many")
    refuse("`n_hidden`.*0", n_hidden = 0)
    refuse("`n_latent`.*0", n_latent = 0)
    refuse("`n_layers`.*0", n_layers = 0)
    refuse("`n_layers`.*length 2", n_layers = 1:2)
    refuse("`dropout_rate`.*1", dropout_rate = 1)
    refuse("`dropout_rate`.*-0.1", dropout_rate = -0.1)
    refuse("`dispersion`.*\"gene\".*\"gene-cell\".*\"cell\"", dispersion = "cell")
    refuse("`reconstruction_loss`.*\"zinb\".*\"poisson\".*\"gaussian\"", reconstruction_loss = "gaussian")
    refuse("`latent_distribution`.*\"normal\".*\"ln\".*\"uniform\"", latent_distribution = "uniform")
    refuse("`log_variational`.*NA", log_variational = NA)
    refuse("`seed`.*-1", seed = -1)
    refuse("n_batch.*gene-batch.*0", dispersion = "gene-batch")
    refuse("n_labels.*gene-label.*0", dispersion = "gene-label")
    expect_error(VAE(10, hidden = 3), "unused argument")
})

test_that("a model for other genes or batches is refused by trainers and posteriors", {
    dataset <- small_dataset()
    refuse <- function(model, message, data = dataset) {
        for (use in list(Posterior, UnsupervisedTrainer)) {
            expect_error(use(model, data), message, class = "rscvi_model_mismatch")
        }
    }
    refuse(VAE(11, n_batch = 2), "11 genes.*12")
    refuse(VAE(12, n_batch = 3), "3 batches.*2")
    refuse(VAE(12, n_batch = 1), "1 batches.*2")
    refuse(VAE(12, n_batch = 2, n_labels = 3, dispersion = "gene-label"), "3 labels.*2")
    refuse(VAE(reorder_genes(dataset, 5)), "another order")
    renamed <- GeneExpressionDataset(counts(dataset), batch = rep(c("a", "c"), 30))
    refuse(VAE(renamed), "\"a\" and \"c\".*\"a\" and \"b\"")
    other_genes <- GeneExpressionDataset(counts(dataset), batch = rep(c("a", "b"), 30), gene_names = paste0("h", 1:12))
    refuse(VAE(other_genes), "different genes.*Not in the data set \\(12\\).*\"h1\"")
    # Labels matter only where the model reads them; batches do not where it does not.
    expect_s4_class(Posterior(VAE(12, n_batch = 2, n_labels = 3), dataset), "Posterior")
    expect_s4_class(Posterior(VAE(12, n_batch = 0), dataset), "Posterior")
    expect_s4_class(UnsupervisedTrainer(VAE(12, n_batch = 2), dataset), "UnsupervisedTrainer")
    expect_error(Posterior(dataset, dataset), "`model`.*GeneExpressionDataset", class = "rscvi_invalid_argument")
    expect_error(Posterior(VAE(dataset), counts(dataset)), "`gene_dataset`.*dgCMatrix",
        class = "rscvi_invalid_argument")
})

test_that("a model shows what it is", {
    rich <- VAE(20, n_batch = 3, n_hidden = 8, n_latent = 2, n_layers = 2, reconstruction_loss = "nb",
        dispersion = "gene-cell", latent_distribution = "ln")
    expect_output(print(rich), "VAE for 20 genes, 3 batches.*2 dimensions, logistic normal")
    expect_output(print(rich), "nb, one dispersion per gene-cell.*2 hidden layers of 8")
    model <- VAE(20, n_hidden = 8, n_latent = 2)
    n_weights <- format(sum(lengths(state_dict(model))), big.mark = ",")
    expect_output(print(model), paste0("batches not used.*1 hidden layer of 8 units.*", n_weights, " weights"))
})
