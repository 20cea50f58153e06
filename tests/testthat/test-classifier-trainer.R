# Training a classifier alone.

dataset <- separable_dataset()
n_labelled <- function(post) sum(!is.na(labels(dataset)[indices(post)]))
network <- function(n_input = 14, ..., seed = 1) Classifier(n_input, n_labels = 3, n_hidden = 16, ..., seed = seed)
vae_of <- function(data = dataset, ..., seed = 1) VAE(data, n_hidden = 12, n_latent = 4, ..., seed = seed)
fit <- function(trainer, n_epochs = 5, lr = 1e-2, seed = 1) train(trainer, n_epochs = n_epochs, lr = lr, seed = seed)

trained_vae <- vae_of()
train(UnsupervisedTrainer(trained_vae, dataset, n_epochs_kl_warmup = NULL), n_epochs = 30, lr = 1e-2, seed = 1)

test_that("the defaults are those of 0.6.8", {
    expect_identical(as.list(formals(ClassifierTrainer))[c("train_size", "sampling_zl", "seed", "batch_size")],
        list(train_size = 0.9, sampling_zl = FALSE, seed = 0, batch_size = 128))
    trainer <- ClassifierTrainer(network(), dataset)
    expect_identical(lengths(trainer@sets), c(train_set = 108L, test_set = 12L, validation_set = 0L))
    expect_identical(trainer@sets, UnsupervisedTrainer(vae_of(), dataset)@sets)
})

test_that("separable labels are told apart: by counts, by z, and by z and l; the sampling model keeps its bits", {
    before <- state_dict(trained_vae)
    inputs <- list(
        counts = list(model = network()), z = list(model = network(4), sampling_model = trained_vae),
        zl = list(model = network(5), sampling_model = trained_vae, sampling_zl = TRUE)
    )
    for (name in names(inputs)) {
        trainer <- do.call(ClassifierTrainer, c(inputs[[name]], list(gene_dataset = dataset, train_size = 0.7,
            batch_size = 20)))
        expect_lt(accuracy(test_set(trainer)), 0.8)
        fit(trainer, n_epochs = 60)
        expect_gte(accuracy(train_set(trainer)), 0.95)
        expect_gte(accuracy(test_set(trainer)), 0.9)
        expect_gte(unsupervised_classification_accuracy(test_set(trainer)), accuracy(test_set(trainer)))
        predicted <- compute_predictions(test_set(trainer))
        expect_equal(mean(predicted$label == predicted$prediction), accuracy(test_set(trainer)))
        expect_identical(rownames(predicted), cell_names(dataset)[trainer@sets$test_set])
    }
    expect_identical(state_dict(trained_vae), before)
})

test_that("one step of Adam on the cross-entropy, by hand", {
    # The step of the last layer's bias, from probabilities with the minibatch's own mean and variance.
    cells <- 1:12
    classifier <- network(dropout_rate = 0)
    w <- state_dict(classifier)
    x <- t(as.matrix(counts(dataset)))[cells, ]
    y <- as.integer(labels(dataset))[cells]
    of_layer <- function(tensor) w[[paste0("classifier.0.fc_layers.Layer 0.0.", tensor)]]
    h <- sweep(x %*% t(of_layer("weight")), 2, of_layer("bias"), "+")
    h <- sweep(h, 2, colMeans(h))
    h <- pmax(sweep(h, 2, sqrt(colMeans(h^2) + 0.001), "/"), 0)
    logits <- sweep(h %*% t(w[["classifier.1.weight"]]), 2, w[["classifier.1.bias"]], "+")
    q <- exp(logits) / rowSums(exp(logits))
    softmax_twice <- exp(q) / rowSums(exp(q))
    truth <- diag(3)[y, ]
    step <- function(gradient) -0.01 * gradient / (abs(gradient) + 0.01)
    bias_after <- function(double_softmax, ...) {
        trainer <- ClassifierTrainer(load_state_dict(network(dropout_rate = 0, ...), w), dataset, train_indices = cells,
            weight_decay = 0, double_softmax = double_softmax)
        fit(trainer, n_epochs = 1)
        list(loss = history(trainer)$loss[2], bias = state_dict(model(trainer))[["classifier.1.bias"]])
    }
    single <- bias_after(FALSE)
    expect_equal(single$loss, -mean(log(q[cbind(cells, y)])), tolerance = 1e-5)
    expect_equal(single$bias, w[["classifier.1.bias"]] + step(colMeans(q - truth)), tolerance = 1e-4)
    double <- bias_after(TRUE)
    expect_equal(double$loss, -mean(log(softmax_twice[cbind(cells, y)])), tolerance = 1e-5)
    outer_gradient <- softmax_twice - truth
    gradient <- q * (outer_gradient - rowSums(outer_gradient * q))
    expect_equal(double$bias, w[["classifier.1.bias"]] + step(colMeans(gradient)), tolerance = 1e-4)
    # 0.6.8 has one softmax where the classifier gives logits.
    expect_identical(bias_after(TRUE, logits = TRUE), single)
})

test_that("cells without a label change nothing, to the last bit, whatever their counts", {
    type <- separable_counts()$type
    known <- replace(type, seq(2, 120, by = 3), NA)
    known <- replace(known, 7:20, NA)
    partly <- separable_dataset(replace(type, is.na(known), NA))
    other_counts <- separable_counts()$counts
    other_counts[, is.na(known)] <- 50
    disturbed <- separable_dataset(known, counts = other_counts)
    weights <- function(data, model = Classifier(14, n_labels = nlevels(labels(data)), n_hidden = 8, seed = 1), ...) {
        trainer <- ClassifierTrainer(model, data, ..., frequency = 1, batch_size = 16)
        fit(trainer, n_epochs = 3)
        list(state_dict(model(trainer)), history(trainer))
    }
    train_cells <- ClassifierTrainer(Classifier(partly), partly)@sets$train_set
    test_cells <- setdiff(1:120, train_cells)
    reference <- weights(partly)
    expect_identical(weights(disturbed), reference)
    # As if the cells were not there.
    alone <- train_cells[!is.na(known)[train_cells]]
    expect_identical(weights(partly, train_indices = alone, test_indices = test_cells), reference)
    scanvi <- function() SCANVI(partly, n_hidden = 8, n_latent = 3, seed = 1)
    expect_identical(weights(disturbed, scanvi()), weights(partly, scanvi()))
})

test_that("SCANVI and VAEC: their classifier learns, by either argument, and all else keeps its bits", {
    groups <- list(SCANVI = list(labels_groups = c(1, 2, 2), use_labels_groups = TRUE), VAEC = list())
    for (class in names(groups)) {
        make <- function() do.call(class, c(list(dataset, n_hidden = 12, n_latent = 4, seed = 1), groups[[class]]))
        own <- make()
        before <- state_dict(own)
        trainer <- ClassifierTrainer(own, dataset, frequency = 1, weight_decay = 0.1)
        fit(trainer, n_epochs = 40)
        same <- same_tensors(before, state_dict(own))
        expect_identical(same, stats::setNames(!startsWith(names(same), "classifier"), names(same)))
        done <- history(trainer)
        expect_lt(done$loss[41], done$loss[2])
        expect_equal(done$accuracy_test_set[41], accuracy(test_set(trainer)))
        expect_s4_class(test_set(trainer), "Posterior")
        expect_identical(posterior_type(test_set(trainer)), "Posterior")
        if (class == "SCANVI") expect_gte(hierarchical_accuracy(train_set(trainer)), accuracy(train_set(trainer)))
        expect_identical(nrow(get_latent(test_set(trainer))), 12L)

        for (given in list(list(), list(model = make()))) {
            again <- if (length(given)) given$model else make()
            other <- ClassifierTrainer(if (length(given)) again, dataset, sampling_model = again, weight_decay = 0.1)
            fit(other, n_epochs = 40)
            expect_identical(state_dict(model(other)), state_dict(own))
        }
    }
})

test_that("history, seeds, going on, and the best state by accuracy", {
    trained <- function(..., seed = 1, n_epochs = 6) {
        trainer <- ClassifierTrainer(network(), dataset, train_size = 0.5, batch_size = 20, ...)
        suppressMessages(fit(trainer, n_epochs = n_epochs, seed = seed))
    }
    trainer <- trained(frequency = 2)
    expect_identical(names(history(trainer)), c("epoch", "loss", "lr", "accuracy_train_set", "accuracy_test_set",
        "accuracy_validation_set"))
    expect_identical(which(!is.na(history(trainer)$accuracy_test_set)), c(1L, 3L, 5L, 7L))
    expect_identical(state_dict(model(trained())), state_dict(model(trained(frequency = 1))))
    expect_false(identical(state_dict(model(trained())), state_dict(model(trained(seed = 2)))))
    expect_s3_class(plot_history(trainer), "ggplot")

    stopped <- trained(n_epochs = 200, early_stopping_kwargs = list(early_stopping_metric = "accuracy",
        save_best_state_metric = "accuracy", patience = 5))
    seen <- history(stopped)$accuracy_test_set
    expect_lt(length(seen), 201)
    expect_false(anyNA(seen))
    expect_equal(accuracy(test_set(stopped)), max(seen))
})

test_that("trainers have the rest: corrupted counts, sets of one's own, show(), saveRDS", {
    trainer <- ClassifierTrainer(network(4), dataset, sampling_model = trained_vae, train_indices = 1:60,
        test_indices = 61:100)
    expect_identical(indices(validation_set(trainer)), 101:120)
    fit(trainer)
    file <- withr::local_tempfile()
    saveRDS(trainer, file)
    expect_identical(compute_predictions(test_set(readRDS(file))), compute_predictions(test_set(trainer)))
    expect_output(show(trainer), "ClassifierTrainer of a Classifier on 120 cells.*trained for 5 epochs")
    clean <- compute_predictions(test_set(trainer))
    corrupt_posteriors(trainer, rate = 0.9, corruption = "binomial", seed = 1)
    expect_false(identical(compute_predictions(test_set(trainer)), clean))
    expect_identical(compute_predictions(uncorrupted(test_set(trainer))), clean)
})

test_that("what cannot be trained is refused, with a remedy", {
    refuse <- function(...) expect_refused(ClassifierTrainer(...))
    mismatch <- "rscvi_model_mismatch"
    expect_refused(ClassifierTrainer(network(10), dataset), "10 features.*14 genes.*Classifier\\(14, n_labels = 3\\)",
        class = mismatch)
    expect_refused(ClassifierTrainer(network(4), dataset, sampling_model = trained_vae, sampling_zl = TRUE),
        "4 features.*5 dimensions of z and l", class = mismatch)
    expect_refused(ClassifierTrainer(Classifier(14, n_labels = 2), dataset), "2 labels.*has 3", class = mismatch)
    expect_refused(ClassifierTrainer(trained_vae, dataset), "VAE.*no labels.*sampling_model.*Classifier\\(4",
        class = "rscvi_no_classifier")
    expect_refused(ClassifierTrainer(network(), dataset, sampling_zl = TRUE), "sampling_zl.*no.*sampling_model.*VAE")
    scanvi <- SCANVI(dataset, n_hidden = 8, seed = 1)
    expect_refused(ClassifierTrainer(network(), dataset, sampling_model = scanvi), "SCANVI.*own classifier.*Leave out")
    expect_refused(ClassifierTrainer(scanvi, dataset, sampling_zl = TRUE), "sampling_zl.*Leave out")
    expect_refused(ClassifierTrainer(scanvi, dataset, sampling_model = trained_vae), "sampling_model.*Leave out")
    expect_refused(ClassifierTrainer(network(), dataset, sampling_model = network()), "sampling_model.*VAE")
    expect_refused(ClassifierTrainer(NULL, dataset), "model.*SCVIModel.*not NULL")
    expect_refused(ClassifierTrainer(network(), counts(dataset)), "gene_dataset")
    expect_refused(ClassifierTrainer(network(), dataset, double_softmax = 1), "double_softmax.*not 1")
    expect_refused(ClassifierTrainer(network(), dataset, metrics_to_monitor = "elbo"), "accuracy.*elbo")
    expect_refused(ClassifierTrainer(network(), dataset, train_indices = seq(1, 120, by = 3)),
        "40 labelled cells.*label.*x.*train_indices", class = "rscvi_single_group")
    partly <- separable_dataset(replace(separable_counts()$type, 4:120, NA))
    expect_refused(ClassifierTrainer(Classifier(partly), partly, train_indices = c(1, 2, 5:60)),
        "2 of the 58 cells.*at least 3")
})
