# The classifier as a model of its own.

dataset <- separable_dataset()
small_classifier <- function(..., seed = 1) Classifier(dataset, n_hidden = 8, ..., seed = seed)
features <- function(n, p) withr::with_seed(2, matrix(stats::rnorm(n * p), n))

# The network in evaluation mode, from its weights.
by_hand <- function(classifier, x, logits = FALSE) {
    w <- state_dict(classifier)
    for (layer in seq_len(classifier@options$n_layers) - 1) {
        name <- function(tensor) sprintf("classifier.0.fc_layers.Layer %d.%s", layer, tensor)
        x <- sweep(x %*% t(w[[name("0.weight")]]), 2, w[[name("0.bias")]], "+")
        x <- sweep(x, 2, w[[name("1.running_mean")]])
        x <- sweep(x, 2, w[[name("1.weight")]] / sqrt(w[[name("1.running_var")]] + 0.001), "*")
        x <- pmax(sweep(x, 2, w[[name("1.bias")]], "+"), 0)
    }
    x <- sweep(x %*% t(w[["classifier.1.weight"]]), 2, w[["classifier.1.bias"]], "+")
    if (logits) x else exp(x) / rowSums(exp(x))
}

# Running statistics away from where they start.
scrambled <- function(classifier) {
    state <- state_dict(classifier)
    moved <- withr::with_seed(3, lapply(state, function(x) {
        x + if (length(x) == 1L && x == 0) 0 else array(abs(stats::rnorm(length(x), 0, 0.3)), dim(as.array(x)))
    }))
    for (name in names(state)) dim(moved[[name]]) <- dim(state[[name]])
    load_state_dict(classifier, moved)
}

test_that("the defaults are those of 0.6.8, and the core's", {
    expect_identical(as.list(formals(Classifier))[c("n_hidden", "n_labels", "n_layers", "dropout_rate", "logits")],
        list(n_hidden = 128, n_labels = 5, n_layers = 1, dropout_rate = 0.1, logits = FALSE))
    core_defaults <- classifier_default_options_cpp()
    expect_equal(as.list(formals(Classifier))[names(core_defaults)], core_defaults)
})

test_that("a data set gives the number of genes and labels, and their names", {
    classifier <- small_classifier()
    expect_identical(classifier@options[c("n_input", "n_labels")], list(n_input = 14L, n_labels = 3L))
    expect_identical(colnames(classify(classifier, t(as.matrix(counts(dataset))))), c("x", "y", "z"))
    expect_identical(Classifier(dataset, n_labels = 7)@options$n_labels, 7L)
    expect_output(show(classifier), "14 features.*3 \\(x, y, z\\).*1 hidden layer of 8 units")
})

test_that("classify() is the network by its weights: probabilities, or logits", {
    for (n_layers in 1:2) {
        x <- features(6, 5)
        classifier <- scrambled(Classifier(5, n_hidden = 8, n_labels = 4, n_layers = n_layers, seed = 1))
        expect_equal(unname(classify(classifier, x)), by_hand(classifier, x), tolerance = 1e-5)
        logits <- Classifier(5, n_hidden = 8, n_labels = 4, n_layers = n_layers, logits = TRUE, seed = 1)
        load_state_dict(logits, state_dict(classifier))
        expect_equal(unname(classify(logits, x)), by_hand(classifier, x, logits = TRUE), tolerance = 1e-5)
    }
    expect_equal(rowSums(classify(classifier, x)), rep(1, 6), tolerance = 1e-6)
    rownames(x) <- letters[1:6]
    expect_identical(rownames(classify(classifier, x)), letters[1:6])
    expect_identical(classify(classifier, as.data.frame(x)), classify(classifier, x))
})

test_that("it is a model: weights by name, copies, seeds, files, readRDS", {
    classifier <- scrambled(small_classifier(n_layers = 2))
    expect_identical(dim(state_dict(classifier)[["classifier.0.fc_layers.Layer 1.0.weight"]]), c(8L, 8L))
    expect_identical(state_dict(small_classifier()), state_dict(small_classifier()))
    expect_false(identical(state_dict(small_classifier()), state_dict(small_classifier(seed = 2))))

    copy <- clone(classifier)
    load_state_dict(copy, lapply(state_dict(copy), function(x) x * 2))
    expect_false(identical(state_dict(copy), state_dict(classifier)))

    file <- withr::local_tempfile(fileext = ".safetensors")
    save_model(classifier, file)
    again <- load_model(file)
    expect_same_model(again, classifier)
    x <- features(4, 14)
    expect_identical(classify(again, x), classify(classifier, x))

    rds <- withr::local_tempfile()
    saveRDS(classifier, rds)
    expect_identical(classify(readRDS(rds), x), classify(classifier, x))
    expect_refused(load_state_dict(classifier, state_dict(small_classifier())), "lacks the tensor.*Layer 1")
})

test_that("bad arguments are named, with their value", {
    expect_refused(Classifier(10, n_labels = 1), "n_labels.*at least 2, not 1")
    expect_refused(Classifier(0), "n_input.*at least 1, not 0")
    expect_refused(Classifier(10, n_hidden = 0.5), "n_hidden.*not 0.5")
    expect_refused(Classifier(10, dropout_rate = 1), "dropout_rate.*not 1")
    expect_refused(Classifier(10, logits = NA), "logits.*TRUE or FALSE")
    expect_refused(Classifier(counts(dataset)), "n_input")
    unlabelled <- GeneExpressionDataset(counts(dataset))
    expect_refused(Classifier(unlabelled), "1 label.*nothing to tell.*GeneExpressionDataset")
    classifier <- small_classifier()
    expect_refused(classify(classifier, features(4, 13)), "14 features.*not 4 x 13")
    expect_refused(classify(classifier, features(14, 4)), "t\\(x\\)")
    expect_refused(classify(classifier, replace(features(4, 14), 3, NA)), "x.*missing")
    expect_refused(classify(classifier, "a"), "x.*numeric matrix")
})

test_that("what needs a latent space or a likelihood says that a classifier has none", {
    classifier <- small_classifier()
    x <- matrix(1, 2, 14)
    refused <- function(expr) expect_refused(expr, "Classifier.*no latent space", class = "rscvi_no_model_of_counts")
    refused(inference(classifier, x))
    refused(loss_terms(classifier, x, 1, 1))
    refused(fit_minibatches(classifier, list(list(x = x))))
    refused(UnsupervisedTrainer(classifier, dataset))
    refused(AdapterTrainer(classifier, dataset, Posterior(classifier, dataset)))
    expect_refused(SemiSupervisedTrainer(classifier, dataset), "no classifier|Classifier", class = "rscvi_error")
    post <- Posterior(classifier, dataset)
    asking <- alist(
        get_latent(post), latent_matrix(post), get_stats(post), elbo(post), reconstruction_error(post),
        marginal_ll(post), get_sample_scale(post), imputation(post), generate(post), generate_denoised_samples(post),
        generate_feature_correlation_matrix(post), generate_parameters(post), imputation_list(corrupted(noisy)),
        imputation_score(corrupted(noisy)), imputation_benchmark(corrupted(noisy)), scale_sampler(post, 1:10),
        get_bayes_factors(post, 1:10, 11:20), differential_expression_score(post, 1:10, 11:20),
        one_vs_all_degenes(post), within_cluster_degenes(post, rep(c(TRUE, FALSE), 60)), entropy_batch_mixing(post),
        knn_purity(post), clustering_scores(post), show_t_sne(post), nn_latentspace(post, post)
    )
    noisy <- Posterior(classifier, corrupt(dataset, seed = 1))
    for (question in asking) refused(eval(question))
    # And what needs neither works.
    expect_identical(dim(raw_data(post)$X), c(120L, 14L))
    expect_refused(save_posterior(post, withr::local_tempfile()), "saveRDS", class = "rscvi_save_failed")
})

test_that("a posterior of a classifier: predictions are classify()'s, whatever the minibatch", {
    classifier <- scrambled(small_classifier())
    post <- Posterior(classifier, dataset, indices = c(9, 1:20), data_loader_kwargs = list(batch_size = 6))
    expect_s4_class(post, "ClassifierPosterior")
    q <- classify(classifier, t(as.matrix(counts(dataset)))[c(9, 1:20), ])
    predicted <- compute_predictions(post, soft = TRUE)
    expect_equal(unname(as.matrix(predicted[-1])), unname(q), tolerance = 1e-6)
    expect_identical(names(predicted), c("label", "x", "y", "z"))
    expect_identical(as.character(compute_predictions(post)$prediction), c("x", "y", "z")[max.col(q)])
    expect_equal(accuracy(post), mean(max.col(q) == as.integer(labels(dataset))[c(9, 1:20)]))
    expect_output(show(post), "21 of 120 cells, 3 labels.*raw counts")

    vae <- VAE(dataset, n_hidden = 8, n_latent = 3, seed = 1)
    on_zl <- scrambled(Classifier(4, n_labels = 3, n_hidden = 8, seed = 1))
    post <- ClassifierPosterior(on_zl, dataset, sampling_model = vae, sampling_zl = TRUE)
    out <- inference(vae, t(as.matrix(counts(dataset))), batch_index = batch_indices(dataset), seed = 1)
    expect_equal(unname(as.matrix(compute_predictions(post, soft = TRUE)[-1])),
        unname(classify(on_zl, cbind(out$qz_m, out$ql_m))), tolerance = 1e-5)
    expect_output(show(post), "the mean of z and l of a VAE")
})

test_that("accuracies of a posterior count the cells that have a label", {
    known <- replace(separable_counts()$type, 31:120, NA)
    partly <- separable_dataset(known)
    classifier <- scrambled(Classifier(partly, n_hidden = 8, seed = 1))
    all <- Posterior(classifier, partly)
    some <- update_sampler_indices(all, 1:30)
    expect_identical(accuracy(all), accuracy(some))
    expect_identical(unsupervised_classification_accuracy(all), unsupervised_classification_accuracy(some))
    expect_gte(unsupervised_classification_accuracy(all), accuracy(all))
    expect_identical(accuracy(update_sampler_indices(all, 31:40)), NA_real_)
    expect_refused(hierarchical_accuracy(all), "no groups of labels")
})

test_that("a semi-supervised trainer says what it takes in place of a classifier", {
    dataset <- small_dataset()
    expect_error(SemiSupervisedTrainer(Classifier(dataset, n_hidden = 4, seed = 1), dataset),
        class = "rscvi_no_model_of_counts")
})
