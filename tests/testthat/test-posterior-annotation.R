# Labels that models predict, and training on cells of which some have labels.

# Three types of cells that differ in four genes each; `known` cells of each type have a label.
typed_counts <- function(n = 90, seed = 1) {
    withr::with_seed(seed, {
        type <- rep(c("x", "y", "z"), length.out = n)
        mu <- matrix(2, 14, n)
        for (k in 1:3) mu[(k - 1) * 4 + 1:4, type == c("x", "y", "z")[k]] <- 12
        list(counts = matrix(stats::rpois(length(mu), mu), 14), type = type, batch = rep(c("a", "b"), length.out = n))
    })
}
typed <- typed_counts()
known <- replace(rep(NA_character_, 90), 1:30, typed$type[1:30])
partly <- GeneExpressionDataset(typed$counts, batch = typed$batch, labels = known)
fully <- GeneExpressionDataset(typed$counts, batch = typed$batch, labels = typed$type)
labelled_models <- list(SCANVI = SCANVI, VAEC = VAEC)
small <- function(make, dataset, ..., seed = 1) make(dataset, n_hidden = 12, n_latent = 4, ..., seed = seed)
weights <- function(x) state_dict(if (methods::is(x, "Trainer")) model(x) else x)

test_that("labels may be missing: they are no level, and the data set counts the others", {
    expect_identical(cell_types(partly), c("x", "y", "z"))
    expect_identical(n_labels(partly), 3L)
    expect_identical(as.character(labels(partly)), known)
    expect_identical(labels(GeneExpressionDataset(typed$counts, labels = addNA(factor(known)))), labels(partly))
    expect_error(GeneExpressionDataset(typed$counts, labels = rep(NA, 90)), "labels.*all 90",
        class = "rscvi_invalid_argument")
    # Scores by label take the cells that have one.
    post <- Posterior(VAE(partly, n_labels = 0, n_hidden = 8, seed = 1), partly)
    expect_identical(knn_purity(post, 5), knn_purity(update_sampler_indices(post, 1:30), 5))
    expect_error(UnsupervisedTrainer(small(SCANVI, partly), partly), "60 cells have none.*SemiSupervisedTrainer",
        class = "rscvi_invalid_argument")
    expect_error(UnsupervisedTrainer(small(VAE, partly, dispersion = "gene-label"), partly), "60 cells have none",
        class = "rscvi_model_mismatch")
})

for (folder in c("p5_vaec_zinb_genelabel", "p6_scanvi_zinb_genecell")) {
    test_that(paste(folder, "is as accurate as in 0.6.8"), {
        ref <- reference(folder)
        post <- Posterior(reference_model(ref), reference_dataset(ref))
        expected <- ref$expected
        expect_equal(accuracy(post), expected$accuracy)
        expect_equal(unsupervised_classification_accuracy(post), expected$uca)
        predictions <- compute_predictions(post)
        tuple <- compute_accuracy_tuple(predictions$label, predictions$prediction)
        expect_equal(tuple$unweighted, expected$accuracy_tuple.unweighted)
        expect_equal(tuple$weighted, expected$accuracy_tuple.weighted)
        expect_equal(tuple$worst, expected$accuracy_tuple.worst)
        expect_equal(unname(tuple$accuracy_classes), expected$accuracy_tuple.per_class)
    })
}

test_that("the labelled set: cells with a label, or so many of each; a label with fewer gives all that it has", {
    model <- small(SCANVI, partly)
    all <- SemiSupervisedTrainer(model, partly)
    expect_identical(indices(labelled_set(all)), 1:30)
    expect_identical(indices(unlabelled_set(all)), 31:90)
    expect_identical(indices(full_dataset(all)), 1:90)
    some <- SemiSupervisedTrainer(model, partly, n_labelled_samples_per_class = 4)
    expect_identical(as.integer(table(known[indices(labelled_set(some))])), c(4L, 4L, 4L))
    rare <- GeneExpressionDataset(typed$counts, batch = typed$batch, labels = replace(typed$type, c(3, 6), "rare"))
    chosen <- indices(labelled_set(SemiSupervisedTrainer(small(SCANVI, rare), rare, 20)))
    expect_identical(as.integer(table(as.character(labels(rare))[chosen])), c(2L, 20L, 20L, 20L))
    by_seed <- function(seed) indices(labelled_set(SemiSupervisedTrainer(model, fully, 5, seed = seed)))
    expect_identical(by_seed(1), by_seed(1))
    expect_false(identical(by_seed(1), by_seed(2)))
    expect_error(train_set(all), "no.*train_set.*full_dataset", class = "rscvi_invalid_argument")
})

trainers <- list(Semi = SemiSupervisedTrainer, Joint = JointSemiSupervisedTrainer,
    Alternate = AlternateSemiSupervisedTrainer)
for (kind in names(trainers)) {
    for (name in names(labelled_models)) {
        test_that(paste(kind, "training of a", name, "learns labels, and never sees those of other cells"), {
            run <- function(dataset, n_epochs, ...) {
                trainer <- trainers[[kind]](small(labelled_models[[name]], dataset), dataset, ..., batch_size = 30,
                    n_epochs_kl_warmup = 10)
                train(trainer, n_epochs = n_epochs, lr = 1e-2, seed = 1)
            }
            trained <- run(partly, 40)
            truth <- typed$type[31:90]
            predictions <- compute_predictions(unlabelled_set(trained))
            expect_gt(mean(predictions$prediction == truth), 0.9)
            expect_lt(history(trained)$loss[41], history(trained)$loss[2])

            # The same labelled cells, the other labels shuffled, or not there at all: the same weights, to the bit.
            chosen <- indices(labelled_set(SemiSupervisedTrainer(small(SCANVI, fully), fully, 8, seed = 3)))
            with_others <- function(others) {
                y <- replace(others, chosen, typed$type[chosen])
                dataset <- GeneExpressionDataset(typed$counts, batch = typed$batch, labels = y)
                trainer <- trainers[[kind]](small(labelled_models[[name]], dataset), dataset,
                    n_labelled_samples_per_class = Inf)
                # Those that keep the labels hide them from the trainer here.
                trainer@sets$labelled_set <- chosen
                trainer@sets$unlabelled_set <- setdiff(1:90, chosen)
                weights(train(trainer, n_epochs = 3, lr = 1e-2, seed = 1))
            }
            expected <- with_others(typed$type)
            expect_identical(with_others(rev(typed$type)), expected)
            expect_identical(with_others(rep(NA_character_, 90)), expected)
        })
    }
}

test_that("fitting the classifier alone changes nothing else", {
    start <- small(SCANVI, partly)
    # One epoch of the same single step, with and without the classifier's own epoch after it.
    trained_with <- function(n) {
        model <- clone(start)
        trainer <- SemiSupervisedTrainer(model, partly, n_epochs_classifier = n, classification_ratio = 0)
        weights(train(trainer, n_epochs = 1, seed = 1))
    }
    once <- trained_with(1)
    never <- trained_with(0)
    changed <- names(once)[!mapply(identical, once, never)]
    expect_true(all(startsWith(changed, "classifier.")))
    expect_gt(length(changed), 3)
})

test_that("0.6.8's double softmax is another loss", {
    loss <- function(double_softmax) {
        trainer <- SemiSupervisedTrainer(small(SCANVI, partly), partly, double_softmax = double_softmax)
        history(train(trainer, n_epochs = 1, seed = 1))$loss[2]
    }
    expect_gt(abs(loss(TRUE) - loss(FALSE)), 1)
})

test_that("predictions are a table of cells, with labels by name", {
    post <- Posterior(small(VAEC, partly), partly, indices = c(5, 60, 31))
    hard <- compute_predictions(post)
    soft <- compute_predictions(post, soft = TRUE)
    expect_identical(rownames(hard), cell_names(partly)[c(5, 60, 31)])
    expect_identical(colnames(soft), c("label", "x", "y", "z"))
    expect_identical(as.character(hard$label), known[c(5, 60, 31)])
    q <- as.matrix(soft[-1])
    expect_equal(unname(rowSums(q)), rep(1, 3), tolerance = 1e-6)
    expect_identical(as.character(hard$prediction), colnames(q)[apply(q, 1, which.max)])
    expect_identical(hard$probability, unname(apply(q, 1, max)))
    expect_identical(predict(post, soft = TRUE), soft)
    expect_equal(unname(q), unname(classify(post@model, t(typed$counts)[c(5, 60, 31), ])))
    expect_identical(accuracy(update_sampler_indices(post, 31:90)), NA_real_)
})

test_that("cells without a label are taken for what the classifier finds most probable", {
    model <- small(VAEC, partly, dispersion = "gene-label")
    post <- Posterior(model, partly)
    guess <- as.character(compute_predictions(post)$prediction)
    filled <- GeneExpressionDataset(typed$counts, batch = typed$batch,
        labels = factor(ifelse(is.na(known), guess, known), c("x", "y", "z")))
    whole <- Posterior(model, filled)
    expect_identical(elbo(post, seed = 1), elbo(whole, seed = 1))
    expect_identical(latent_matrix(post), latent_matrix(whole))
    expect_identical(get_sample_scale(post, seed = 1), get_sample_scale(whole, seed = 1))
    de <- function(p) get_bayes_factors(p, 1:20, 40:60, n_samples = 50, seed = 1)
    expect_identical(de(post), de(whole))
})

test_that("groups of labels: the group's probability times that of the label within it", {
    model <- small(SCANVI, fully, labels_groups = c(1, 2, 2), use_labels_groups = TRUE)
    q <- classify(model, t(typed$counts))
    expect_equal(unname(rowSums(q)), rep(1, 90), tolerance = 1e-5)
    # By hand, from a model without groups that has the same classifier.
    plain <- small(SCANVI, fully)
    state <- weights(model)
    load_state_dict(plain, state[names(weights(plain))])
    within <- classify(plain, t(typed$counts))
    in_group <- cbind(within[, 1], rowSums(within[, 2:3]), rowSums(within[, 2:3]))
    expect_equal(q / within * in_group, (q / within * in_group)[, c(1, 3, 2)], tolerance = 1e-5, ignore_attr = TRUE)
    post <- Posterior(model, fully)
    groups <- c(1, 2, 2)
    prediction <- compute_predictions(post)$prediction
    expect_equal(hierarchical_accuracy(post),
        mean(groups[as.integer(labels(fully))] == groups[as.integer(prediction)]))
    expect_error(hierarchical_accuracy(Posterior(plain, fully)), "no groups", class = "rscvi_invalid_argument")
})

test_that("a SCANVI that starts from a VAE has its networks", {
    vae <- VAE(fully, n_hidden = 12, n_latent = 4, dispersion = "gene-batch", seed = 1)
    train(UnsupervisedTrainer(vae, fully), n_epochs = 5, seed = 1)
    model <- SCANVI(partly, from = vae, y_prior = c(0.5, 0.3, 0.2), seed = 2)
    expect_identical(weights(model)[names(weights(vae))], weights(vae))
    expect_identical(latent_matrix(Posterior(model, partly)), latent_matrix(Posterior(vae, fully)))
    expect_identical(model@options$dispersion, "gene-batch")
    expect_equal(as.numeric(weights(model)$y_prior), c(0.5, 0.3, 0.2), tolerance = 1e-7)
    expect_error(SCANVI(partly, from = vae, n_latent = 3), "n_latent.*from", class = "rscvi_invalid_argument")
    expect_error(SCANVI(partly, from = small(SCANVI, partly)), "from", class = "rscvi_invalid_argument")
    log_normal <- VAE(fully, n_hidden = 12, n_latent = 4, latent_distribution = "ln", seed = 1)
    expect_error(SCANVI(partly, from = log_normal), "logistic normal", class = "rscvi_invalid_argument")
})

test_that("neighbours in latent space tell labels", {
    post <- Posterior(small(SCANVI, partly), partly)
    train(SemiSupervisedTrainer(model(post), partly), n_epochs = 30, lr = 1e-2, seed = 1)
    asked <- Posterior(model(post), fully, indices = 31:90)
    z <- latent_matrix(post)
    by_hand <- vapply(31:90, function(i) {
        near <- order(colSums((t(z[1:30, ]) - z[i, ])^2))[1:5]
        names(which.max(table(known[near])))
    }, "")
    expect_equal(nn_latentspace(post, asked), mean(by_hand == typed$type[31:90]))
    expect_gt(nn_latentspace(post, asked), 0.9)
})

test_that("accuracy can be watched: training stops when it no longer grows, and its best state is kept", {
    trainer <- SemiSupervisedTrainer(small(SCANVI, partly), partly, metrics_to_monitor = "accuracy", frequency = 1,
        early_stopping_kwargs = list(early_stopping_metric = "accuracy", save_best_state_metric = "accuracy",
            on = "labelled_set", patience = 5, threshold = 0.001))
    suppressMessages(train(trainer, n_epochs = 60, lr = 1e-2, seed = 1))
    watched <- history(trainer)$accuracy_labelled_set
    expect_lt(length(watched), 61)
    expect_equal(accuracy(labelled_set(trainer)), max(watched))
    expect_true(all(is.na(history(trainer)$accuracy_unlabelled_set)))
    expect_error(UnsupervisedTrainer(small(VAE, fully), fully, metrics_to_monitor = "accuracy"), "accuracy",
        class = "rscvi_invalid_argument")
})

test_that("a classifier without a hidden layer is a multinomial regression on the latent space", {
    model <- small(SCANVI, partly, classifier_parameters = list(n_layers = 0))
    trainer <- SemiSupervisedTrainer(model, partly, n_epochs_kl_warmup = NULL)
    train(trainer, n_epochs = 40, lr = 1e-2, seed = 1)
    w <- weights(model)
    expect_setequal(grep("^classifier", names(w), value = TRUE),
        paste0("classifier.classifier.1.", c("weight", "bias")))
    post <- Posterior(model, partly)
    logits <- latent_matrix(post) %*% t(w[["classifier.classifier.1.weight"]]) +
        rep(w[["classifier.classifier.1.bias"]], each = 90)
    q <- as.matrix(compute_predictions(post, soft = TRUE)[c("x", "y", "z")])
    expect_equal(unname(q), unname(exp(logits) / rowSums(exp(logits))), tolerance = 1e-4)
    expect_gt(mean(compute_predictions(post)$prediction == typed$type), 0.9)
})

test_that("models with labels are saved and come back", {
    for (model in list(small(SCANVI, partly, labels_groups = c(1, 2, 2), use_labels_groups = TRUE),
        small(VAEC, partly, y_prior = c(0.2, 0.3, 0.5)),
        LDVAE(partly, n_labels = 0, n_hidden = 6, n_latent = 3, bias = TRUE))) {
        dir <- file.path(withr::local_tempdir(), "saved")
        post <- Posterior(model, partly, indices = 20:50)
        save_posterior(post, dir)
        back <- load_posterior(dir)
        expect_identical(back@model@options, model@options)
        expect_identical(elbo(back, seed = 1), elbo(post, seed = 1))
        expect_identical(labels(back@gene_dataset), labels(partly))
        copy <- unserialize(serialize(model, NULL))
        expect_identical(elbo(Posterior(copy, partly), seed = 1), elbo(Posterior(model, partly), seed = 1))
    }
})

test_that("what cannot be is refused, by name", {
    refuse <- function(call, message, class = "rscvi_invalid_argument") expect_error(call, message, class = class)
    refuse(SCANVI(partly, y_prior = c(0.5, 0.5)), "y_prior.*3 positive")
    refuse(SCANVI(partly, y_prior = c(0.5, 0.4, 0.2)), "y_prior.*sum to 1")
    refuse(SCANVI(partly, labels_groups = c(1, 3, 3), use_labels_groups = TRUE), "labels_groups.*without gaps")
    refuse(SCANVI(partly, use_labels_groups = TRUE), "labels_groups.*not given")
    refuse(SCANVI(partly, dispersion = "gene-label"), "gene-label")
    refuse(LDVAE(partly, dispersion = "gene-cell"), "gene-cell")
    refuse(SCANVI(partly, classifier_parameters = list(units = 3)), "classifier_parameters.*n_hidden")
    refuse(SCANVI(partly, classifier_parameters = list(dropout_rate = 1)), "dropout_rate")
    refuse(SCANVI(partly, classifier_parameters = list(n_layers = -1)), "n_layers")
    refuse(SCANVI(n_input = 10), "n_labels.*at least 2")
    refuse(SCANVI(GeneExpressionDataset(typed$counts)), "n_labels.*at least 2")
    refuse(SemiSupervisedTrainer(small(VAE, fully), fully), "no classifier", "rscvi_no_classifier")
    refuse(SemiSupervisedTrainer(small(SCANVI, fully), fully, n_labelled_samples_per_class = 0),
        "n_labelled_samples_per_class")
    few <- GeneExpressionDataset(typed$counts, labels = replace(rep(NA_character_, 90), 1:2, c("x", "y")))
    refuse(SemiSupervisedTrainer(small(SCANVI, few), few), "2 labelled cells are too few")
    refuse(SemiSupervisedTrainer(small(SCANVI, partly), partly, lr_classification = 0), "lr_classification")
    refuse(accuracy(Posterior(small(VAE, fully), fully)), "predicts no labels", "rscvi_no_classifier")
    refuse(compute_predictions(Posterior(small(SCANVI, partly), partly), soft = NA), "soft")
    refuse(get_loadings(small(VAE, fully)), "model")
    refuse(compute_accuracy_tuple(1:3, 1:2), "same length")
    # All cells labelled, and a label with one cell, are no mistakes.
    one <- GeneExpressionDataset(typed$counts, labels = replace(typed$type, 3, "single"))
    trainer <- SemiSupervisedTrainer(small(SCANVI, one), one, n_labelled_samples_per_class = Inf)
    expect_identical(nb_cells(unlabelled_set(trainer)), 0L)
    expect_error(train(trainer, n_epochs = 1, seed = 1), NA)
})

test_that("loadings are the decoder's weights, scaled as its batch normalisation does", {
    ref <- reference("p4")
    loadings <- get_loadings(reference_model(ref))
    expect_close(unname(as.matrix(loadings)), ref$expected$loadings)
    named <- get_loadings(LDVAE(partly, n_labels = 0, n_hidden = 6, n_latent = 3, use_batch_norm = FALSE, seed = 1))
    expect_identical(dimnames(named), list(gene_names(partly), c("Z_1", "Z_2", "Z_3")))
})
