# From partly known labels to labels for all cells, in one call.

typed_sce <- function() {
    type <- rep(c("x", "y", "z"), length.out = 90)
    mu <- matrix(2, 14, 90)
    for (k in 1:3) mu[(k - 1) * 4 + 1:4, type == c("x", "y", "z")[k]] <- 12
    counts <- withr::with_seed(1, matrix(stats::rpois(length(mu), mu), 14, dimnames = list(letters[1:14], NULL)))
    SingleCellExperiment::SingleCellExperiment(list(counts = counts), colData = data.frame(
        type = type, known = replace(type, 31:90, "?"), batch = rep(c("a", "b"), 45)))
}
sce <- typed_sce()
run <- function(x = sce, ..., labels = "known", unlabeled = "?", seed = 1) {
    runSCANVI(x, batch = "batch", labels = labels, unlabeled = unlabeled, n_latent = 4, n_epochs = 20, n_hidden = 12,
        lr = 1e-2, seed = seed, ...)
}

test_that("every cell gets a place, a label and how sure it is", {
    done <- run()
    expect_identical(dim(SingleCellExperiment::reducedDim(done, "SCANVI")), c(90L, 4L))
    expect_identical(levels(done$scanvi_label), c("x", "y", "z"))
    expect_gt(mean(as.character(done$scanvi_label) == done$type), 0.9)
    expect_true(all(done$scanvi_probability > 1 / 3 & done$scanvi_probability <= 1))
    expect_identical(done$known, sce$known)
    post <- posterior(done, "SCANVI")
    expect_s4_class(model(post), "SCANVI")
    # The only fit there is needs no name; with one of runSCVI() beside it, that is meant.
    expect_identical(posterior(done)@model, post@model)
    expect_identical(history(done), history(done, name = "SCANVI"))
    both <- runSCVI(done, n_epochs = 1, n_hidden = 4, seed = 1)
    expect_s4_class(model(posterior(both)), "VAE")
    expect_s4_class(model(posterior(both, "SCANVI")), "SCANVI")
    predictions <- transfer_labels(post)
    expect_identical(predictions$prediction, done$scanvi_label)
    expect_identical(predictions$probability, done$scanvi_probability)
    expect_false(identical(compute_predictions(post)$probability, done$scanvi_probability))
    expect_identical(sum(is.na(predictions$label)), 60L)
    expect_identical(run()$scanvi_probability, done$scanvi_probability)
})

test_that("NA stands for unknown, whatever else does; the name decides the columns", {
    with_na <- sce
    with_na$known[with_na$known == "?"] <- NA
    other <- run(with_na, name = "Types", unlabeled = NA, n_epochs_scanvi = 3)
    expect_true(all(c("types_label", "types_probability") %in% names(SummarizedExperiment::colData(other))))
    expect_identical(other$types_label, run(n_epochs_scanvi = 3)$scanvi_label)
    some <- run(subset_row = letters[1:12], n_labelled_samples_per_class = 5)
    expect_identical(gene_names(posterior(some, "SCANVI")@gene_dataset), letters[1:12])
})

test_that("a label weighs the same however many cells have one; a linear classifier is fitted alone faster", {
    settings <- function(...) {
        done <- run(n_epochs_scanvi = 1, ...)
        SingleCellExperiment::int_metadata(done)$rscvi_SCANVI$options$semi_supervised
    }
    expect_equal(settings()$classification_ratio, 80 * 30 / 90)
    expect_equal(settings(labels = replace(sce$known, 16:30, "?"))$classification_ratio, 80 * 15 / 90)
    expect_identical(settings()$n_epochs_classifier, 1L)
    expect_identical(settings(classification_ratio = 7)$classification_ratio, 7)
    linear <- settings(classifier_parameters = list(n_layers = 0))
    expect_identical(linear$n_epochs_classifier, 2L)
    expect_identical(linear$lr_classification, 0.05)
    slower <- settings(classifier_parameters = list(n_layers = 0), lr_classification = 0.01)
    expect_identical(slower$lr_classification, 0.01)
    linear <- posterior(run(n_epochs_scanvi = 1, classifier_parameters = list(n_layers = 0)), "SCANVI")
    expect_identical(model(linear)@options$classifier_parameters$n_layers, 0L)
    expect_identical(epochs_of_scanvi(1556, 128), 30)
    expect_identical(epochs_of_scanvi(90, 128), 100)
    expect_identical(epochs_of_scanvi(1e6, 128), 2)
})

test_that("the recommended set is that of runSCVI() for the model, and leaves the SCANVI's KL weight alone", {
    options <- function(...) {
        post <- posterior(run(n_epochs_scanvi = 1, defaults = "recommended", ...), "SCANVI")
        list(model = model(post)@options, trainer = model(post)@state$training$options)
    }
    found <- options()
    expect_identical(found$model[c("reconstruction_loss", "library", "scale_start")],
        list(reconstruction_loss = "nb", library = "observed", scale_start = "shares"))
    # Its dispersions are those of a VAE that has learnt them, and go on learning.
    expect_identical(found$trainer$n_iter_fixed_dispersion, 0L)
    expect_identical(found$trainer$max_kl_weight, 1)
    expect_identical(options(max_kl_weight = 2)$trainer$max_kl_weight, 2)
    expect_identical(options(dispersion = "gene-cell")$model$dispersion, "gene-cell")
    expect_identical(model(posterior(run(n_epochs_scanvi = 1), "SCANVI"))@options$reconstruction_loss, "zinb")
})

test_that("what cannot be is refused, by name", {
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(run(labels = "cluster"), "labels.*\"cluster\".*\"known\"")
    refuse(run(labels = rep("?", 90)), "labels.*missing")
    refuse(run(labels = replace(rep("?", 90), 1:9, "x")), "n_labels.*at least 2")
    refuse(run(speed = 3), "Unknown argument.*speed")
    refuse(run(labels = 1:3), "labels.*90")
})

test_that("arguments that are handed on are checked before they are looked at", {
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = toy), colData = data.frame(type = toy_labels))
    refuse <- function(message, ...) {
        expect_error(runSCANVI(sce, labels = "type", n_epochs = 1, ...), message, class = "rscvi_invalid_argument")
    }
    refuse("`classifier_parameters`", classifier_parameters = 0)
    refuse("batch_size", batch_size = "a")
    refuse("batch_size", data_loader_kwargs = list(batch_size = 0))
    # Several names for what is not known.
    sce$type <- rep(c("T", "B", "?", "unknown"), 6)
    out <- runSCANVI(sce, labels = "type", unlabeled = c("?", "unknown"), n_epochs = 1, n_epochs_scanvi = 1,
        n_hidden = 8, n_latent = 2, seed = 1)
    expect_identical(levels(out$scanvi_label), c("B", "T"))
})
