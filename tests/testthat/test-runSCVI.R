# runSCVI and posterior(): the one call, what it stores, what can be done to the object afterwards.

make_sce <- function() {
    dataset <- small_dataset()
    SingleCellExperiment::SingleCellExperiment(
        list(counts = counts(dataset)),
        colData = S4Vectors::DataFrame(donor = factor(rep(c("d2", "d1"), 30), levels = c("d2", "d1")),
            type = rep(c("x", "y"), each = 30), row.names = cell_names(dataset))
    )
}
sce <- make_sce()
# The recommended weight of the KL term for cells of fewer than 125 counts.
kl_weight <- max(1, median(Matrix::colSums(SummarizedExperiment::assay(sce))) / 25)
run <- function(x = sce, ..., batch = "donor", n_epochs = 3, n_hidden = 8, n_latent = 3, seed = 1) {
    runSCVI(x, batch = batch, n_epochs = n_epochs, n_hidden = n_hidden, n_latent = n_latent, seed = seed, ...)
}
# The model that it makes of such arguments.
recommended_vae <- function(dataset, ..., reconstruction_loss = "nb") {
    VAE(dataset, n_hidden = 8, n_latent = 3, reconstruction_loss = reconstruction_loss, library = "observed",
        dispersion_start = "one", scale_start = "shares", seed = 1, ...)
}
reduced <- function(x, name = "SCVI") SingleCellExperiment::reducedDim(x, name)
done <- run(labels = "type")

test_that("the reduced dimension is the latent mean of every cell, in order", {
    expect_s4_class(done, "SingleCellExperiment")
    expect_identical(SingleCellExperiment::reducedDimNames(done), "SCVI")
    expect_identical(dimnames(reduced(done)), list(colnames(sce), paste0("latent_", 1:3)))
    expect_identical(reduced(done), latent_matrix(posterior(done)))
    # What was there before is untouched.
    expect_identical(SummarizedExperiment::assay(done), SummarizedExperiment::assay(sce))
    expect_identical(SummarizedExperiment::colData(done), SummarizedExperiment::colData(sce))
    expect_identical(names(S4Vectors::metadata(done)), names(S4Vectors::metadata(sce)))
    expect_identical(SingleCellExperiment::reducedDimNames(sce), character(0))
})

test_that("one call does what data set, model, trainer and train do, step by step", {
    dataset <- GeneExpressionDataset(sce, batch = "donor", labels = "type")
    model <- recommended_vae(dataset)
    # Three epochs of one minibatch.
    trainer <- UnsupervisedTrainer(model, dataset, max_kl_weight = kl_weight, lr_dispersion = 0.02,
        n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 3, seed = 1)
    train(trainer, n_epochs = 3, seed = 1)
    expect_identical(reduced(done), latent_matrix(Posterior(model, dataset)))
    post <- posterior(done)
    expect_identical(state_dict(model(post)), state_dict(model))
    expect_identical(indices(post), 1:60)
    for (set in c("train_set", "test_set")) {
        expect_setequal(indices(posterior(done, set = set)), trainer@sets[[set]])
        expect_false(is.unsorted(indices(posterior(done, set = set))))
    }
    expect_identical(nb_cells(posterior(done, set = "validation_set")), 0L)
    # The same levels, the same prior.
    expect_identical(get_latent(post)$batch, batch_indices(dataset))
    expect_identical(get_latent(post)$labels, labels(dataset))
    expect_identical(levels(get_latent(post)$batch), c("d2", "d1"))
    expect_identical(elbo(post, seed = 2), elbo(Posterior(model, dataset), seed = 2))
    expect_identical(marginal_ll(post, 5, seed = 2), marginal_ll(Posterior(model, dataset), 5, seed = 2))
    expect_identical(get_sample_scale(post, transform_batch = "d1", seed = 2),
        get_sample_scale(Posterior(model, dataset), transform_batch = "d1", seed = 2))
})

test_that("scvi 0.6.8's set of defaults is one word away, and what is given wins over both", {
    dataset <- GeneExpressionDataset(sce, batch = "donor")
    model <- VAE(dataset, n_hidden = 8, n_latent = 3, seed = 1)
    train(UnsupervisedTrainer(model, dataset, seed = 1), n_epochs = 3, seed = 1)
    expect_identical(state_dict(model(posterior(run(defaults = "scvi-0.6.8")))), state_dict(model))
    all_given <- run(reconstruction_loss = "zinb", library = "latent", dispersion_start = "normal",
        scale_start = "random", max_kl_weight = 1, lr_dispersion = NULL, n_iter_fixed_dispersion = 0,
        n_epochs_kl_warmup = 400)
    expect_identical(state_dict(model(posterior(all_given))), state_dict(model))
    expect_identical(model(posterior(run(library_start = "prior")))@options$library, "latent")
    by_cell <- model(posterior(run(dispersion = "gene-cell")))@options
    expect_identical(by_cell[c("library", "dispersion_start")], list(library = "observed", dispersion_start = "normal"))
    expect_no_error(run(reconstruction_loss = "poisson"))
    expect_error(run(defaults = "best"), "`defaults` must be.*recommended", class = "rscvi_invalid_argument")
})

test_that("the recommended weight of the KL term goes with depth, the length of training with steps", {
    epochs <- function(n, ...) epochs_of_run(NULL, "recommended", n, list(...))
    expect_identical(epochs(500), 100)
    expect_equal(epochs(3500), round(2000 / 25))
    expect_equal(epochs(3500, train_size = 0.8), round(2000 / 22))
    expect_equal(epochs(3500, train_indices = 1:2688), round(2000 / 21))
    expect_equal(epochs(10000, batch_size = 256), round(2000 / 36))
    expect_identical(epochs(10000, train_size = 0.1), 100)
    expect_identical(epochs(1e5), 50)
    expect_identical(epochs(1e6), 8)
    expect_identical(epochs_of_run(NULL, "scvi-0.6.8", 500, list()), 400L)
    weight <- function(count) {
        counts <- matrix(count, 8, 8, dimnames = list(letters[1:8], LETTERS[1:8]))
        counts[1, 1:3] <- count + c(1, -1, 1000)
        recommended_kl_weight(GeneExpressionDataset(counts))
    }
    # One cell of many counts changes nothing.
    expect_identical(c(weight(1), weight(10), weight(100)), c(1, 3.2, 5))
    deeper <- sce
    SummarizedExperiment::assay(deeper) <- 4 * SummarizedExperiment::assay(sce)
    used <- function(...) model(posterior(run(deeper, ...)))@state$training$options$max_kl_weight
    expect_equal(used(), median(Matrix::colSums(SummarizedExperiment::assay(deeper))) / 25)
    expect_identical(used(max_kl_weight = 2), 2)
    # Arguments that are wrong are the trainer's to refuse.
    expect_error(run(batch_size = "many", n_epochs = NULL), "`batch_size` must be", class = "rscvi_invalid_argument")
})

test_that("dispersions learn in the last fifth of the steps, and for 200 of them at least", {
    dataset <- GeneExpressionDataset(sce)
    fixed <- function(n_epochs, model = list(), ...) {
        given <- with_defaults(list(model = model, trainer = list(...)), "recommended", dataset, n_epochs)
        given$trainer$n_iter_fixed_dispersion
    }
    # One minibatch an epoch, or three.
    expect_equal(fixed(2000), 1600)
    expect_equal(fixed(1001), 801)
    expect_equal(fixed(500, batch_size = 18), 1200)
    expect_equal(fixed(300), 100)
    expect_equal(fixed(200), 0)
    expect_equal(fixed(3), 0)
    expect_equal(fixed(2000, n_iter_fixed_dispersion = 1), 1)
    # All along where training may end before, or slow down.
    expect_null(fixed(2000, early_stopping_kwargs = list(early_stopping_metric = "elbo")))
    expect_null(fixed(2000, lr_schedule = "cosine"))
    expect_equal(fixed(2000, lr_schedule = "constant"), 1600)
    expect_null(fixed(2000, list(dispersion = "gene-cell")))
    # Steps are those that there are: of the cells that are trained on, a last minibatch of one or two left out.
    expect_equal(fixed(2000, train_indices = rep(c(TRUE, FALSE), 30), batch_size = 15), 3200)
    expect_equal(fixed(2000, test_indices = 1:30, batch_size = 15), 3200)
    expect_equal(fixed(2000, train_indices = 1:32, batch_size = 15), 3200)
    expect_equal(fixed(2000, train_indices = 1:33, batch_size = 15), 4800)
    for (arguments in list(list(batch_size = 18), list(train_size = 0.55, data_loader_kwargs = list(batch_size = 15)),
        list(train_indices = rep(c(TRUE, FALSE), 30), batch_size = 14), list(test_indices = 1:28, batch_size = 15))) {
        trainer <- do.call(UnsupervisedTrainer, c(list(recommended_vae(dataset), dataset), arguments))
        expect_equal(steps_per_epoch(60, arguments), train(trainer, n_epochs = 1, seed = 1)@state$n_iter)
    }
    # And runSCVI() hands it on.
    weights <- function(...) state_dict(model(posterior(run(n_epochs = 220, n_hidden = 4, n_latent = 2, ...))))
    by_default <- weights()
    expect_identical(by_default, weights(n_iter_fixed_dispersion = 20))
    expect_false(identical(by_default$px_r, weights(n_iter_fixed_dispersion = 0)$px_r))
})

test_that("further arguments go to the model, the trainer and train", {
    found <- run(reconstruction_loss = "zinb", n_layers = 2, train_size = 0.5, test_size = 0.3, batch_size = 16,
        lr = 1e-2)
    dataset <- GeneExpressionDataset(sce, batch = "donor")
    model <- recommended_vae(dataset, n_layers = 2, reconstruction_loss = "zinb")
    trainer <- UnsupervisedTrainer(model, dataset, train_size = 0.5, test_size = 0.3, batch_size = 16,
        max_kl_weight = kl_weight, lr_dispersion = 0.02, n_epochs_kl_warmup = NULL, n_iter_kl_warmup = 6, seed = 1)
    train(trainer, n_epochs = 3, lr = 1e-2, seed = 1)
    expect_identical(state_dict(model(posterior(found))), state_dict(model))
    expect_identical(posterior(found)@data_loader_kwargs$batch_size, 16L)
    sizes <- vapply(names(trainer@sets), function(set) nb_cells(posterior(found, set = set)), 0L)
    expect_identical(sizes, lengths(trainer@sets))
    # A model that ignores the batches.
    expect_identical(model(posterior(run(n_batch = 0)))@options$n_batch, 0L)
})

test_that("the seed decides everything, and set.seed() does where there is none", {
    expect_identical(reduced(run(labels = "type")), reduced(done))
    expect_false(identical(reduced(run(labels = "type", seed = 2)), reduced(done)))
    set.seed(4)
    a <- run(seed = NULL)
    after <- .Random.seed
    set.seed(4)
    expect_identical(reduced(run(seed = NULL)), reduced(a))
    # By one draw, which is the seed.
    set.seed(4)
    drawn <- sample.int(.Machine$integer.max, 1L)
    expect_identical(.Random.seed, after)
    expect_identical(reduced(run(seed = drawn)), reduced(a))
})

test_that("batch and labels may be vectors, or left out; n_epochs may be", {
    expect_identical(reduced(run(batch = sce$donor, labels = sce$type)), reduced(done))
    without <- run(batch = NULL)
    expect_identical(n_batches(posterior(without)@gene_dataset), 1L)
    expect_identical(model(posterior(without))@options$n_batch, 1L)
    all_epochs <- run(n_epochs = NULL, batch_size = 60)
    expect_gt(max(abs(reduced(all_epochs) - reduced(run(batch_size = 60)))), 0.1)
})

test_that("after subsetting or reordering cells the posterior has their rows", {
    for (cells in list(sce$type == "y", c(5, 50, 3), rev(seq_len(60)), 7)) {
        some <- done[, cells]
        expect_close(latent_matrix(posterior(some)), reduced(some), 1e-5, floor = 1)
        expect_identical(nb_cells(posterior(some)), ncol(some))
        expect_identical(as.character(get_latent(posterior(some))$batch), as.character(some$donor))
        # The prior is that of training, and not of the cells that are left.
        expect_identical(local_means(posterior(some)@gene_dataset),
            stats::setNames(local_means(posterior(done)@gene_dataset), colnames(done))[colnames(some)],
            ignore_attr = TRUE)
    }
    # Only cells of one batch: the model keeps both.
    one <- done[, done$donor == "d1"]
    expect_identical(levels(get_latent(posterior(one))$batch), c("d2", "d1"))
    expect_identical(dim(get_sample_scale(posterior(one), transform_batch = "d2", seed = 1)), c(30L, 12L))
    test_cells <- colnames(done)[indices(posterior(done, set = "test_set"))]
    some <- done[, c(test_cells[1:3], setdiff(colnames(done), test_cells)[1:4])]
    expect_identical(rownames(get_latent(posterior(some, set = "test_set"))), test_cells[1:3])
    # Put together again.
    both <- BiocGenerics::cbind(done[, 31:60], done[, 1:30])
    expect_close(latent_matrix(posterior(both)), reduced(done)[c(31:60, 1:30), ], 1e-5, floor = 1)
    repeated <- done[, c(2, 2)]
    expect_close(unname(latent_matrix(posterior(repeated))), unname(reduced(done)[c(2, 2), ]), 1e-5, floor = 1)
    expect_error(posterior(done[, 0]), "`object` has no cells", class = "rscvi_empty_posterior")
})

test_that("subset_row chooses the genes of the model, by name, index or mask", {
    chosen <- c("gene9", "gene1", "gene4")
    found <- run(subset_row = chosen)
    expect_identical(gene_names(posterior(found)@gene_dataset), chosen)
    expect_identical(dim(found), dim(sce))
    dataset <- GeneExpressionDataset(counts(small_dataset())[chosen, ], batch = sce$donor)
    same <- load_state_dict(recommended_vae(dataset), state_dict(model(posterior(found))))
    expect_identical(reduced(found), latent_matrix(Posterior(same, dataset)))
    expect_identical(reduced(run(subset_row = c(9, 1, 4))), reduced(found))
    expect_identical(reduced(run(subset_row = rownames(sce) %in% chosen)), reduced(run(subset_row = c(1, 4, 9))))
    expect_error(run(subset_row = c("gene1", "nogene")), "`subset_row`.*\"nogene\"", class = "rscvi_invalid_argument")
    expect_error(run(subset_row = c(1, 1)), "`subset_row`.*more than once", class = "rscvi_invalid_argument")
    # Genes that the model does not use may go, and the others may move.
    moved <- found[c("gene4", "gene12", "gene1", "gene9"), ]
    expect_identical(latent_matrix(posterior(moved)), reduced(found))
    expect_error(posterior(found[c("gene4", "gene12"), ]), "lacks 2 of the 3 genes", class = "rscvi_model_mismatch")
    expect_error(posterior(done[-3, ]), "lacks 1 of the 12 genes", class = "rscvi_model_mismatch")
    # A cell that has nothing of them has no place in the result: an error before training, and not after.
    bare <- sce
    SummarizedExperiment::assay(bare)[chosen, 17] <- 0
    expect_error(run(bare, subset_row = chosen), "cells without counts.*\"cell17\"", class = "rscvi_empty_cells")
})

test_that("without row names genes are known by their place, as long as none went", {
    bare <- sce
    rownames(bare) <- NULL
    found <- run(bare, subset_row = c(2, 5, 1))
    # Up to rounding: a product of ten rows sums in another order than one of all.
    expect_equal(latent_matrix(posterior(found[, 10:1])), reduced(found)[10:1, ], tolerance = 1e-6)
    expect_error(posterior(found[-1, ]), "had 12 genes.*has 11", class = "rscvi_model_mismatch")
    expect_error(posterior(found[1:2, ]), "had 12 genes.*has 2", class = "rscvi_model_mismatch")
    colnames(bare) <- NULL
    found <- run(bare)
    expect_identical(rownames(reduced(found)), NULL)
    expect_identical(unname(latent_matrix(posterior(found))), unname(reduced(found)))
})

test_that("two fits live side by side under two names", {
    both <- run(done, name = "wide", n_latent = 5, seed = 7)
    expect_identical(SingleCellExperiment::reducedDimNames(both), c("SCVI", "wide"))
    expect_identical(reduced(both), reduced(done))
    expect_identical(latent_matrix(posterior(both)), reduced(done))
    expect_identical(latent_matrix(posterior(both, "wide")), reduced(both, "wide"))
    expect_identical(ncol(reduced(both, "wide")), 5L)
    # The same name again takes the place of the first.
    again <- run(done, seed = 7)
    expect_false(identical(reduced(again), reduced(done)))
    expect_identical(latent_matrix(posterior(again)), reduced(again))
    expect_error(posterior(both, "narrow"), "no fit.*\"narrow\".*\"SCVI\" and \"wide\"", class = "rscvi_no_fit")
})

test_that("an object without a fit says so", {
    expect_error(posterior(sce), "no fit.*\"SCVI\".*runSCVI", class = "rscvi_no_fit")
    expect_error(posterior(done, set = "labelled_set"), "`set`.*\"labelled_set\"", class = "rscvi_invalid_argument")
    expect_error(posterior(done, name = 1), "`name`", class = "rscvi_invalid_argument")
    expect_error(posterior(1), "`object`.*SingleCellExperiment", class = "rscvi_invalid_argument")
})

test_that("a SummarizedExperiment becomes a SingleCellExperiment; anything else is refused", {
    se <- SummarizedExperiment::SummarizedExperiment(list(counts = SummarizedExperiment::assay(sce)),
        colData = SummarizedExperiment::colData(sce))
    found <- run(se, labels = "type")
    expect_s4_class(found, "SingleCellExperiment")
    expect_identical(reduced(found), reduced(done))
    expect_error(run(SummarizedExperiment::assay(sce)), "`x`.*SingleCellExperiment.*dgCMatrix",
        class = "rscvi_invalid_argument")
    expect_error(runSCVI(1:3), "`x`", class = "rscvi_invalid_argument")
})

test_that("arguments that nobody takes, and those that are wrong, are refused before anything is trained", {
    refuse <- function(message, ..., class = "rscvi_invalid_argument") expect_error(run(...), message, class = class)
    refuse("Unknown argument.*hidden.*VAE.*UnsupervisedTrainer.*train", hidden = 3)
    refuse("Unknown arguments.*`foo` and `bar`", foo = 1, bar = 2)
    refuse("Unknown argument.*n_input", n_input = 3)
    refuse("Unknown argument.*trainer", trainer = 3)
    expect_error(runSCVI(sce, NULL, NULL, "counts", 3, 1, "A", NULL, 1, NULL, NULL, 8), "must have names",
        class = "rscvi_invalid_argument")
    refuse("`batch` is \"sample\".*\"donor\" and \"type\"", batch = "sample")
    refuse("`labels` is \"kind\"", labels = "kind")
    refuse("`assay.type` is \"umi\"", assay.type = "umi")
    refuse("`n_latent`.*0", n_latent = 0)
    refuse("`n_epochs`.*-1", n_epochs = -1)
    refuse("`name`", name = NA_character_)
    refuse("`reconstruction_loss`.*\"gauss\"", reconstruction_loss = "gauss")
    refuse("`train_size`.*2", train_size = 2)
    refuse("`lr`.*0", lr = 0)
    refuse("`seed`.*-1", seed = -1)
    SummarizedExperiment::assay(sce, "logcounts") <- log1p(SummarizedExperiment::assay(sce))
    refuse("fractional.*also has \"counts\"", x = sce, assay.type = "logcounts", class = "rscvi_invalid_counts")
})

test_that("an object that was saved has its fit", {
    file <- withr::local_tempfile(fileext = ".rds")
    saveRDS(done, file)
    loaded <- readRDS(file)
    expect_identical(reduced(loaded), reduced(done))
    expect_identical(latent_matrix(posterior(loaded)), reduced(done))
    expect_identical(marginal_ll(posterior(loaded, set = "test_set"), 9, seed = 1),
        marginal_ll(posterior(done, set = "test_set"), 9, seed = 1))
    expect_identical(get_sample_scale(posterior(loaded), seed = 1), get_sample_scale(posterior(done), seed = 1))
})

test_that("cells of another fit are told from the fit's own", {
    sce <- example_pbmc()[1:30, ]
    sce <- sce[, Matrix::colSums(SingleCellExperiment::counts(sce)) > 5]
    fit <- function(cells, seed) runSCVI(sce[, cells], n_epochs = 1, n_hidden = 8, seed = seed, verbose = FALSE)
    both <- BiocGenerics::cbind(fit(1:200, 1), fit(201:400, 2))
    expect_error(posterior(both), "200 of the 400 cells", class = "rscvi_model_mismatch")
})

test_that("the seed decides the logistic normal latent space too, and R's stream stays where it is", {
    sce <- example_pbmc()[1:60, 1:200]
    sce <- sce[, Matrix::colSums(SingleCellExperiment::counts(sce)) > 0]
    run <- function() {
        fit <- runSCVI(sce, n_epochs = 1, n_hidden = 8, latent_distribution = "ln", seed = 1, verbose = FALSE)
        SingleCellExperiment::reducedDim(fit, "SCVI")
    }
    set.seed(1)
    before <- .Random.seed
    first <- run()
    expect_identical(.Random.seed, before)
    expect_identical(run(), first)
})
