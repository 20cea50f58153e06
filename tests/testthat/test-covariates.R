cells <- data.frame(
    donor = rep(c("d2", "d1", "d3"), 8), percent_mito = seq(0.5, 12, by = 0.5), treated = rep(c(TRUE, FALSE), each = 12)
)
toy_dataset <- function(covariates = cells, ...) {
    GeneExpressionDataset(as_dgc(toy), batch = toy_batch, covariates = covariates, ...)
}
small_vae <- function(dataset, ..., seed = 1) VAE(dataset, n_hidden = 8, n_latent = 3, ..., seed = seed)

test_that("numbers are continuous, all else is categorical, with levels in an order that no locale changes", {
    dataset <- toy_dataset()
    expect_identical(covariates(dataset), data.frame(
        donor = factor(cells$donor), percent_mito = cells$percent_mito, treated = factor(cells$treated)
    ))
    expect_identical(levels(covariates(dataset)$donor), c("d1", "d2", "d3"))
    # A factor keeps the order of its levels, but for those that no cell has.
    ordered <- data.frame(stage = factor(rep(c("late", "early"), 12), levels = c("late", "early", "never")))
    expect_identical(levels(covariates(toy_dataset(ordered))$stage), c("late", "early"))
    expect_identical(dim(covariates(toy_dataset(NULL))), c(24L, 0L))
    expect_output(print(dataset), "covariates: donor (3 levels), percent_mito, treated (2 levels)", fixed = TRUE)
})

test_that("names stand for columns of the container, and row names decide the order", {
    skip_if_not_installed("SingleCellExperiment")
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = toy), colData = cells)
    colnames(sce) <- colnames(toy)
    dataset <- GeneExpressionDataset(sce, covariates = c("percent_mito", "donor"))
    expect_identical(names(covariates(dataset)), c("percent_mito", "donor"))
    expect_identical(covariates(dataset)$percent_mito, cells$percent_mito)
    shuffled <- cells
    rownames(shuffled) <- colnames(toy)
    expect_identical(covariates(toy_dataset(shuffled[24:1, ])), covariates(toy_dataset()))
    expect_error(GeneExpressionDataset(sce, covariates = "sex"), "\"sex\".*\"donor\"", class = "rscvi_invalid_argument")
})

test_that("covariates that cannot be are refused by name", {
    refuse <- function(covariates, message) {
        expect_error(toy_dataset(covariates), message, class = "rscvi_invalid_argument")
    }
    refuse("donor", "`covariates` names columns, but `x` has none")
    refuse(1:24, "`covariates` must be names of columns, or a data.frame")
    refuse(cells[1:3, ], "one row a cell \\(24\\), not 3")
    refuse(transform(cells, donor = replace(donor, 2, NA)), "\"donor\" is missing or infinite for 1 of 24 cells")
    refuse(transform(cells, percent_mito = replace(percent_mito, 1:2, c(Inf, NA))), "\"percent_mito\".*for 2 of 24")
    refuse(list(donor = 1), "data.frame")
    refuse(data.frame(day = as.Date("2020-01-01") + 1:24), "\"day\" must hold numbers, text")
    refuse(data.frame(huge = c(1e39, 1:23)), "\"huge\" has values beyond 1e30")
    refuse(stats::setNames(cells, c("donor", "", "treated")), "must have names")
    expect_warning(toy_dataset(data.frame(barcode = colnames(toy))), "\"barcode\" has 24 levels in 24 cells",
        class = "rscvi_many_levels")
    expect_message(small_vae(toy_dataset(data.frame(site = rep("a", 24)))), "\"site\" is the same in all cells",
        class = "rscvi_constant_covariate")
})

test_that("subsets of cells and genes keep the covariates of their cells", {
    dataset <- toy_dataset()
    kept <- c(20, 2, 5, 11, 17, 8)  # of one batch and two donors
    some <- suppressMessages(update_cells(dataset, kept))
    expect_identical(covariates(some)$percent_mito, cells$percent_mito[kept])
    expect_identical(levels(covariates(some)$donor), sort(unique(cells$donor[kept])))
    expect_identical(covariates(update_genes(dataset, 1:10)), covariates(dataset))
    expect_error(methods::validObject(methods::initialize(dataset, covariates = dataset@covariates[1:3, ])),
        "'covariates' must have one row a cell")
})

test_that("a model knows names, levels and scale; its decoder has columns for them, its encoders only if asked to", {
    vae <- small_vae(toy_dataset())
    known <- vae@options$covariates
    expect_identical(known$donor, list(levels = c("d1", "d2", "d3")))
    expect_equal(known$percent_mito, list(mean = 6.25, sd = sqrt(mean((cells$percent_mito - 6.25)^2))))
    columns <- function(model, layer) ncol(state_dict(model)[[paste0(layer, ".fc_layers.Layer 0.0.weight")]])
    expect_identical(columns(vae, "decoder.px_decoder"), 3L + 3L + 3L + 2L + 1L)
    expect_identical(columns(vae, "z_encoder.encoder"), 40L)
    encoding <- small_vae(toy_dataset(), encode_covariates = TRUE)
    expect_identical(columns(encoding, "z_encoder.encoder"), 40L + 3L + 3L + 2L + 1L)
    expect_identical(columns(encoding, "l_encoder.encoder"), 40L + 3L + 3L + 2L + 1L)
    expect_output(print(encoding), "covariates: donor \\(3 levels\\), percent_mito, treated.*encoders see batch")
})

test_that("what the decoder computes is written out here", {
    vae <- small_vae(toy_dataset())
    weights <- state_dict(vae)
    x <- t(toy)
    out <- inference(vae, x, batch_index = toy_batch, covariates = cells, noise = list(z = matrix(0, 24, 3)))
    one_hot <- function(f) stats::model.matrix(~ f - 1)
    known <- vae@options$covariates$percent_mito
    input <- cbind(out$qz_m, one_hot(factor(toy_batch)), one_hot(factor(cells$donor)), one_hot(factor(cells$treated)),
        (cells$percent_mito - known$mean) / known$sd)
    layer <- function(name) weights[[paste0("decoder.px_decoder.fc_layers.Layer 0.", name)]]
    h <- input %*% t(layer("0.weight")) + rep(layer("0.bias"), each = 24)
    h <- pmax(h / sqrt(1 + 0.001), 0)  # batch normalisation as it starts
    logits <- h %*% t(weights[["decoder.px_scale_decoder.0.weight"]]) +
        rep(weights[["decoder.px_scale_decoder.0.bias"]], each = 24)
    expect_equal(out$px_scale, unname(exp(logits) / rowSums(exp(logits))), tolerance = 1e-5)
})

test_that("cells of one's own come with covariates, by name and in any order of columns", {
    vae <- small_vae(toy_dataset())
    x <- t(toy)[1:4, ]
    ask <- function(covariates) {
        loss_terms(vae, x, 3, 0.1, batch_index = toy_batch[1:4], covariates = covariates, seed = 1)
    }
    expect_identical(ask(cells[1:4, 3:1]), ask(cells[1:4, ]))
    expect_false(identical(ask(transform(cells[1:4, ], donor = "d1")), ask(cells[1:4, ])))
    expect_error(ask(NULL), "`covariates` is needed.*\"donor\"", class = "rscvi_invalid_argument")
    expect_error(ask(cells[1:3, ]), "one row a cell \\(4\\), not 3", class = "rscvi_invalid_argument")
    expect_error(ask(cells[1:4, 1:2]), "\"treated\"", class = "rscvi_model_mismatch")
    expect_error(ask(transform(cells[1:4, ], donor = "d9")), "\"d9\".*does not know.*\"d1\"",
        class = "rscvi_model_mismatch")
    expect_error(ask(transform(cells[1:4, ], percent_mito = NA_real_)), "finite numbers",
        class = "rscvi_model_mismatch")
    plain <- small_vae(toy_dataset(NULL))
    expect_error(loss_terms(plain, x, 3, 0.1, batch_index = toy_batch[1:4], covariates = cells[1:4, ]),
        "this model has no covariates", class = "rscvi_invalid_argument")
    minibatch <- list(x = x, local_l_mean = 3, local_l_var = 0.1, batch_index = toy_batch[1:4],
        covariates = cells[1:4, ])
    expect_length(fit_minibatches(vae, list(minibatch), seed = 1), 1)
})

test_that("a posterior takes cells with some of the levels, and columns in another order", {
    dataset <- toy_dataset()
    vae <- small_vae(dataset)
    whole <- get_sample_scale(Posterior(vae, dataset), seed = 1)
    d1 <- which(cells$donor == "d1" & toy_batch != "b3")
    some <- GeneExpressionDataset(as_dgc(toy[, d1]), batch = toy_batch[d1], covariates = cells[d1, c(3, 1, 2)])
    post <- Posterior(vae, some)
    z <- latent_matrix(post)
    expect_equal(unname(z), unname(latent_matrix(Posterior(vae, dataset, indices = d1))), tolerance = 1e-6)
    expect_equal(elbo(post, seed = 1), elbo(Posterior(vae, dataset, indices = d1), seed = 1), tolerance = 0.2)
    expect_identical(levels(batch_indices(post@gene_dataset)), levels(batch_indices(dataset)))
    unknown <- GeneExpressionDataset(as_dgc(toy), batch = toy_batch, covariates = transform(cells, donor = "d9"))
    expect_error(Posterior(vae, unknown), "\"d9\"", class = "rscvi_model_mismatch")
    expect_error(Posterior(vae, toy_dataset(NULL)), "\"donor\", \"percent_mito\", and \"treated\"",
        class = "rscvi_model_mismatch")
})

test_that("what reads the codes of a data set has them in the model's order, whoever asks", {
    dataset <- toy_dataset(labels = toy_labels)
    encoding <- small_vae(dataset, encode_covariates = TRUE)
    kept <- which(cells$donor != "d2")
    other <- GeneExpressionDataset(as_dgc(toy[, kept]), batch = toy_batch[kept], labels = toy_labels[kept],
        covariates = cells[kept, 3:1])
    expect_same <- function(ask) expect_equal(ask(other, seq_along(kept)), ask(dataset, kept), tolerance = 1e-6,
        ignore_attr = TRUE)
    classifier <- Classifier(3, n_labels = 2, n_hidden = 4, seed = 1)
    expect_same(function(d, i) {
        as.matrix(compute_predictions(ClassifierPosterior(classifier, d, sampling_model = encoding, indices = i),
            soft = TRUE)[-1])
    })
    expect_same(function(d, i) {
        trainer <- ClassifierTrainer(classifier, d, sampling_model = encoding, train_indices = i, test_indices = i[0])
        as.matrix(compute_predictions(train_set(trainer), soft = TRUE)[-1])
    })
    adapter <- AdapterTrainer(encoding, other, Posterior(encoding, other))
    expect_identical(level_names(current_dataset(adapter)@covariates), level_names(encoding@options$covariates))
    observed <- small_vae(dataset, library = "observed")
    expect_lt(train(AdapterTrainer(observed, dataset, Posterior(observed, dataset)), n_epochs = 2, n_path = 1, seed = 1,
        verbose = FALSE), Inf)
    # A data set that was made without batches is not of the batch "1" of others.
    numbered <- GeneExpressionDataset(as_dgc(toy), batch = rep(1:2, 12))
    expect_error(Posterior(small_vae(numbered), GeneExpressionDataset(as_dgc(toy))), "Was `batch` forgotten",
        class = "rscvi_model_mismatch")
    # Labels of a VAE that does not use them are no labels of a SCANVI that starts from it.
    many <- toy_dataset(labels = rep(c("A", "B", "C", "D"), 6))
    partly <- toy_dataset(labels = rep(c("A", "B", NA, NA), 6))
    expect_identical(SCANVI(partly, from = small_vae(many), seed = 1)@options$n_labels, 2L)
    expect_error(SCANVI(40, n_labels = 2, from = encoding), "`n_input` must be a <GeneExpressionDataset>",
        class = "rscvi_invalid_argument")
})

test_that("every model takes covariates and the observed library; a SCANVI gets those of its VAE", {
    dataset <- toy_dataset(labels = toy_labels)
    for (make in list(VAE, LDVAE, VAEC, SCANVI)) {
        model <- make(dataset, n_hidden = 8, n_latent = 3, library = "observed", seed = 1)
        post <- Posterior(model, dataset)
        expect_true(is.finite(elbo(post, seed = 1)))
        expect_equal(as.vector(get_stats(post, seed = 1)), log(colSums(toy)), tolerance = 1e-5, ignore_attr = TRUE)
        trainer <- if (methods::is(model, "LabelledModel")) SemiSupervisedTrainer(model, dataset)
            else UnsupervisedTrainer(model, dataset, train_size = 1)
        train(trainer, n_epochs = 1, seed = 1)
        expect_false(any(grepl("^l_encoder", names(state_dict(model)))))
    }
    vae <- small_vae(toy_dataset(), library = "observed", encode_covariates = TRUE)
    scanvi <- SCANVI(dataset, from = vae, seed = 2)
    expect_identical(scanvi@options$covariates, vae@options$covariates)
    expect_identical(scanvi@options$library, "observed")
    expect_identical(latent_matrix(Posterior(scanvi, dataset)), latent_matrix(Posterior(vae, toy_dataset())))
    plain <- small_vae(toy_dataset(NULL))
    expect_null(SCANVI(dataset, from = plain, seed = 2)@options$covariates)
    expect_identical(dim(classify(scanvi, t(toy)[1:3, ], batch_index = toy_batch[1:3], covariates = cells[1:3, ])), 3:2)
    expect_error(classify(scanvi, t(toy)[1:3, ], batch_index = toy_batch[1:3]), "`covariates` is needed")
})

test_that("the observed library is the log of the counts, and its divergence is 0", {
    dataset <- toy_dataset(NULL)
    vae <- small_vae(dataset, library = "observed")
    out <- inference(vae, t(toy), batch_index = toy_batch, seed = 1)
    expect_equal(as.vector(out$library), unname(log(colSums(toy))), tolerance = 1e-6)
    expect_equal(rowSums(out$px_rate), unname(colSums(toy)), tolerance = 1e-4)
    terms <- loss_terms(vae, t(toy), 3, 0.1, batch_index = toy_batch, seed = 1)
    expect_identical(terms$kl_l, rep(0, 24))
    # An importance-weighted bound is at least the ELBO, and tighter with more draws.
    post <- Posterior(vae, dataset)
    expect_lt(marginal_ll(post, n_mc_samples = 200, seed = 1), elbo(post, seed = 1))
    expect_error(small_vae(dataset, library = "known"), "`library`", class = "rscvi_invalid_argument")
})

test_that("models and posteriors with covariates are saved and loaded, bit for bit", {
    dataset <- toy_dataset()
    post <- Posterior(small_vae(dataset, encode_covariates = TRUE, library = "observed"), dataset)
    dir <- withr::local_tempfile()
    save_posterior(post, dir)
    again <- load_posterior(dir)
    expect_identical(again@gene_dataset@covariates, dataset@covariates)
    expect_identical(again@model@options, post@model@options)
    expect_identical(get_sample_scale(again, seed = 1), get_sample_scale(post, seed = 1))
    copy <- readRDS({file <- withr::local_tempfile(); saveRDS(post, file); file})
    expect_identical(elbo(copy, seed = 1), elbo(post, seed = 1))
})

test_that("covariates may be called like options of a model", {
    named <- stats::setNames(cells, c("y_prior", "mean", "sd"))
    vae <- small_vae(toy_dataset(cbind(named, dropout_rate = rep(c("x", "y"), 12))))
    file <- withr::local_tempfile()
    save_model(vae, file)
    expect_identical(load_model(file)@options, vae@options)
})

test_that("for_each_minibatch() hands covariates on, in the form that loss_terms() takes", {
    dataset <- toy_dataset()
    vae <- small_vae(dataset)
    post <- Posterior(vae, dataset, data_loader_kwargs = list(batch_size = 10))
    losses <- for_each_minibatch(post, function(x, local_l_mean, local_l_var, batch_index, labels, covariates) {
        loss_terms(vae, x, local_l_mean, local_l_var, batch_index, covariates = covariates,
            noise = list(z = matrix(0, nrow(x), 3), library = matrix(0, nrow(x), 1)))$reconst_loss
    })
    whole <- loss_terms(vae, t(toy), local_means(dataset), local_vars(dataset), toy_batch, covariates = cells,
        noise = list(z = matrix(0, 24, 3), library = matrix(0, 24, 1)))$reconst_loss
    expect_equal(unlist(losses), whole, tolerance = 1e-5)
    five <- for_each_minibatch(post, function(x, local_l_mean, local_l_var, batch_index, labels) nrow(x))
    expect_identical(unlist(five), c(10L, 10L, 4L))
})

test_that("runSCVI() takes covariates, and posterior() finds them again", {
    skip_if_not_installed("SingleCellExperiment")
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = toy), colData = cells)
    sce <- runSCVI(sce, covariates = c("donor", "percent_mito"), n_epochs = 1, n_hidden = 8, n_latent = 2, seed = 1)
    post <- posterior(sce[, 5:20])
    expect_identical(covariates(post@gene_dataset)$percent_mito, cells$percent_mito[5:20])
    expect_equal(latent_matrix(post), SingleCellExperiment::reducedDim(sce, "SCVI")[5:20, ], ignore_attr = TRUE,
        tolerance = 1e-5)
})
